"""Print a line per epoch from the log of `fairseq-train --log-format simple` on standard input, as it comes."""

import re
import sys

for line in sys.stdin:
    if found := re.search(r"INFO \| (train|dev) \| (.*)", line):
        value = dict(re.findall(r"(\w+) ([\d.e+-]+)", found[2]))
        if found[1] == "train":
            print(f"  epoch {value['epoch']}  training loss {value['loss']}", flush=True)
        else:
            print(f"  epoch {value['epoch']}  dev EER {100 * float(value['eer']):g} %, loss {value['loss']}", flush=True)
