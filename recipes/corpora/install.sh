#!/usr/bin/env bash
# Installs what mono.toml, multi.toml and nl.toml name, from the Debian or Ubuntu archive.
# A name is an extended regular expression; of several packages that match, the newest counts.
set -euo pipefail

UNPACKED=/usr/local/src/jaxformer

PYTHON=(
  python3 'libpython3\.[0-9]+-testsuite' python3-django python3-networkx python3-nltk
  python3-pandas python3-scipy python3-sklearn python3-sphinx python3-sqlalchemy
  python3-statsmodels python3-sympy python3-twisted mercurial ansible-core
)
CODE=(
  unzip xz-utils
  golang-src rust-src 'openjdk-[0-9]+-source' glibc-source
  libc6-dev 'libstdc\+\+-[0-9]+-dev' libboost-dev libabsl-dev libeigen3-dev nlohmann-json3-dev
  googletest node-typescript node-d3 eslint node-inquirer
  'perl-modules-5\.[0-9]+' libbio-perl-perl libdbix-class-perl libmojolicious-perl
  libmoose-perl perltidy
  libruby ruby-actionpack ruby-activerecord ruby-sequel
  composer phpunit php-twig
  bash-completion abs-guide
)
PROSE=(
  python3-doc perl-doc git-doc linux-doc 'llvm-[0-9]+-doc' 'clang-[0-9]+-doc' cmake-data vim-runtime
  manpages manpages-dev freebsd-manpages libssl-doc tcl-doc erlang-manpages
  debian-policy debian-reference-en developers-reference debmake-doc
  installation-guide-amd64 jargon-text
  docutils-doc sphinx-doc neutron-doc nova-doc python-aiohttp-doc python-celery-doc
  python-click-doc python-cryptography-doc python-hypothesis-doc python-jinja2-doc
  python-psycopg2-doc python-pytest-doc python-requests-doc python-sqlalchemy-doc
  python-tornado-doc python-werkzeug-doc
)
# Unpacked only: to install them would bring services that run.
FILES=('postgresql-[0-9]+' 'postgresql-[0-9]+-pgtap' dict-foldoc python3-nova python3-neutron)

if [ "$(id -u)" -ne 0 ]; then
  echo "install.sh must run as root, because it installs packages." >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

options=(-qq -o Dpkg::Use-Pty=0)
excluding=false
if grep -qsE '^path-exclude' /etc/dpkg/dpkg.cfg /etc/dpkg/dpkg.cfg.d/*; then
  excluding=true # Container images leave out documentation.
  options+=(-o 'Dpkg::Options::=--path-include=/usr/share/doc/*'
    -o 'Dpkg::Options::=--path-include=/usr/share/man/*')
fi

# A repository of the machine's own that cannot be reached must not stop the rest.
apt-get update -qq || echo "Some package lists could not be brought up to date." >&2
apt-cache dumpavail | sed -n 's/^Package: //p' | sort -urV >"$work/names"

# The newest package that matches, or nothing.
newest() {
  grep -xEm 1 "$1" "$work/names" || true
}

installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Whether documentation of an installed package was left out.
incomplete() {
  local file
  while read -r file; do
    [ -e "$file" ] || [ -L "$file" ] || return 0
  done < <(dpkg -L "$1" | grep -E '^/usr/share/(doc|man)/')
  return 1
}

# Every package that a package depends on and whose documentation counts too.
contents() {
  echo "$1"
  apt-cache depends --no-suggests --no-recommends --installed "$1" 2>/dev/null |
    sed -n 's/^ *Depends: //p' | grep -E -- '(-doc|-data|-source|-src|-common)' || true
}

wanted=() missing=()
for pattern in "${PYTHON[@]}" "${CODE[@]}" "${PROSE[@]}"; do
  name=$(newest "$pattern")
  if [ -z "$name" ]; then
    missing+=("$pattern")
  elif ! installed "$name"; then
    wanted+=("$name")
  fi
done

if [ ${#wanted[@]} -gt 0 ]; then
  echo "Installing ${wanted[*]}."
  if ! apt-get install "${options[@]}" -y --no-install-recommends "${wanted[@]}" >"$work/log" 2>&1; then
    # One that cannot be installed here must not stop the others.
    for name in "${wanted[@]}"; do
      apt-get install "${options[@]}" -y --no-install-recommends "$name" >>"$work/log" 2>&1 ||
        missing+=("$name")
    done
  fi
fi

if $excluding; then
  again=()
  for pattern in "${PROSE[@]}" abs-guide; do
    name=$(newest "$pattern")
    [ -n "$name" ] && installed "$name" || continue
    for name in $(contents "$name"); do
      if installed "$name" && incomplete "$name"; then again+=("$name"); fi
    done
  done
  if [ ${#again[@]} -gt 0 ]; then
    echo "Installing again, with documentation: ${again[*]}."
    apt-get install "${options[@]}" -y --reinstall "${again[@]}" >>"$work/log" 2>&1 ||
      missing+=("documentation of ${again[*]}")
  fi
fi

# unpack FOLDER COMMAND...: run a command that fills a new folder, once.
unpack() {
  local folder=$UNPACKED/$1
  shift
  [ -d "$folder" ] && return
  rm -rf "$folder.part"
  mkdir -p "$folder.part"
  if "$@" "$folder.part" && [ -n "$(find "$folder.part" -type f -print -quit)" ]; then
    chmod -R u=rwX,go=rX "$folder.part"
    mv "$folder.part" "$folder"
    echo "Unpacked $folder."
  else
    rm -rf "$folder.part"
    missing+=("$folder")
  fi
}

openjdk() {
  local zip
  zip=$(find -L /usr/lib/jvm -name src.zip -path '*openjdk*' 2>/dev/null | sort -V | tail -n 1)
  [ -n "$zip" ] && unzip -q "$zip" -d "$1"
}

glibc() {
  tar -xf /usr/src/glibc/glibc-*.tar.xz -C "$1" --strip-components=1
}

packages() {
  local pattern name
  cd "$work"
  for pattern in "${FILES[@]}"; do
    name=$(newest "$pattern")
    if [ -z "$name" ] || ! apt-get download -qq -o APT::Sandbox::User=root "$name"; then
      missing+=("$pattern")
    else
      dpkg-deb -x "$name"_*.deb "$1"
    fi
  done
}

# Books and dictionaries that are one file become files of about 50 kB, cut where an entry begins.
cut_up() {
  awk -v folder="$1" -v entry="$2" '
    $0 ~ entry && blank && size > 50000 { close(file); size = 0 }
    size == 0 { file = sprintf("%s/%04d.txt", folder, ++count) }
    { print > file; size += length($0) + 1; blank = ($0 == "") }'
}

foldoc() {
  gzip -dc <"$UNPACKED/packages/usr/share/dictd/foldoc.dict.dz" | cut_up "$1" '^[^ ]'
}

jargon() {
  gzip -dc /usr/share/doc/jargon-text/jargon.txt.gz | cut_up "$1" '^ *:[^ ]'
}

unpack openjdk openjdk
unpack glibc glibc
unpack packages packages
unpack foldoc foldoc
unpack jargon jargon

if [ ${#missing[@]} -gt 0 ]; then
  echo "Not found, so take their sources out of the recipes: ${missing[*]}." >&2
fi
