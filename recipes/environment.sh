# Sourced by every recipe: prepares the environment, once, and puts its commands on the path.
bash recipes/setup.sh
if [ "${VENV:=.venv}" != none ]; then
    source "$VENV/bin/activate"
fi
