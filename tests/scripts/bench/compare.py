"""Holds the figures of vm.py against their budget: compare.py BUDGET FIGURES FRONT_END...

FIGURES is a folder with `versions` and a file for each front end. Prints a Markdown table. A figure that is
worse than the budget by more than 5 %, a span or a request that is missing, or a ledger that does not
balance ends it with status 1. BENCH_VM_WRITE=1 writes the figures into the budget.
"""

import os
import sys
import tomllib

TOLERANCE = 0.05
# Figures with a budget: name, whether more is better, OBI's (May 2025, the same work), the target.
GATED = [
    ("nginx ratio", True, 0.282, 0.88),
    ("frozen ratio", True, 0.409, 0.95),
    ("bystander ratio", True, 0.483, 0.99),
    ("go ratio", True, 0.415, 0.88),
    ("heads ratio", True, None, None),
    ("bodies ratio", True, None, None),
    ("BPF runs a request", False, 20.4, 6),
    ("nginx agent's instructions", False, 80_700, 3_000),
    ("100/s agent's instructions", False, 103_000, 8_000),
    ("heads agent's instructions", False, None, None),
    ("bodies agent's instructions", False, None, None),
    ("go agent's instructions", False, None, None),
    ("nginx server's instructions more", False, None, None),
    ("bystander server's instructions more", False, None, None),
    ("first span: agent's instructions", False, 8_100_000_000, 300_000_000),
    ("idle: agent's instructions a second", False, None, None),
    ("idle: RssAnon, KiB", False, 131 * 1024, 20 * 1024),
    ("loaded: RssAnon, KiB", False, None, None),
    ("idle: BPF maps, KiB", False, 97 * 1024, 16 * 1024),
]
# Figures of the guest's clock while it sleeps, which is the host's: shown, not gated.
SHOWN = [("stop: seconds", 8.2, 0.5), ("first span: seconds", None, None)]
# What must be exactly so.
EXACT = {"missing spans": 0, "requests lost once attached": 0, "ledger balances": 1}


def read(path):
    """Lines of a name and a value."""
    figures = {}
    for line in open(path):
        name, _, value = line.rstrip("\n").rpartition(" ")
        try:
            figures[name] = float(value)
        except ValueError:
            continue  # something else was printed
    return figures


def versions(path):
    return dict(line.rstrip("\n").split(" ", 1) for line in open(path))


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3f}"


def write(path, of, runs, old):
    tables = {**{name: old.get(name, {}) for name in old if name != "versions"}, **runs}
    with open(path, "w") as f:
        f.write("# What `make bench-vm` measured with these versions. BENCH_VM_WRITE=1 writes it anew.\n")
        f.write("\n[versions]\n")
        f.writelines(f'{name} = "{version}"\n' for name, version in of.items())
        for front_end, figures in tables.items():
            f.write(f"\n[{front_end}]\n")
            f.writelines(f'"{n}" = {figures[n]:g}\n' for n, *_ in GATED if n in figures)


def main():
    budget_path, folder, *front_ends = sys.argv[1:]
    of = versions(f"{folder}/versions")
    runs = {front_end: read(f"{folder}/{front_end}") for front_end in front_ends}
    budget = tomllib.load(open(budget_path, "rb")) if os.path.exists(budget_path) else {}
    if os.environ.get("BENCH_VM_WRITE") == "1":
        write(budget_path, of, runs, budget)
        budget = tomllib.load(open(budget_path, "rb"))
    comparable = budget.get("versions") == of
    print("\n" + ", ".join(f"{name} {version}" for name, version in of.items()) + "\n")
    print("| | OBI | target | " + " | ".join(front_ends) + " |")
    print("| --- | ---: | ---: |" + " ---: |" * len(front_ends))
    worse = []
    for name, more, obi, target in GATED:
        cells = []
        for front_end, figures in runs.items():
            value, limit = figures.get(name), budget.get(front_end, {}).get(name)
            cells.append(number(value))
            if value is None or limit is None or not comparable:
                continue
            slack = abs(limit) * TOLERANCE
            if (limit - value if more else value - limit) > slack:
                worse.append(f"{front_end}: {name} {number(value)}, budget {number(limit)}")
        print(f"| {name} | {number(obi)} | {number(target)} | " + " | ".join(cells) + " |")
    for name, obi, target in SHOWN:
        cells = [number(figures.get(name)) for figures in runs.values()]
        print(f"| {name} | {number(obi)} | {number(target)} | " + " | ".join(cells) + " |")
    for front_end, figures in runs.items():
        for ending, must in EXACT.items():
            found = {n: v for n, v in figures.items() if n.endswith(ending)}
            worse += [f"{front_end}: no figure of: {ending}"] if not found else []
            worse += [f"{front_end}: {n} {v:.0f}, not {must}" for n, v in found.items() if v != must]
    if not comparable:
        print(f"\nThe budget is for other versions and was not compared: {budget.get('versions')}")
    if worse:
        sys.exit("error: " + "\n".join(["worse than may be", *worse]))


main()
