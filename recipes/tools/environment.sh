# Sourced in the checkout's folder: prepares the environment once, and makes its commands and `recipes` available everywhere.
bash recipes/setup.sh
if [ "${VENV:=.venv}" != none ]; then
    source "$VENV/bin/activate"
fi
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
export PYTHONSAFEPATH=1  # a folder `recipes` or `protocols` where the user works is not taken for ours
