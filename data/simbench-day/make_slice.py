#!/usr/bin/env python3
"""Cuts the demo's meters and one day of profiles out of SimBench.

    python3 make_slice.py --from DIR --out DIR

`--from` is either the folder `simbench/networks/1-complete_data-mixed-all-1-sw` of the SimBench
1.6.3 package (Load.csv, RES.csv, LoadProfile.csv, RESProfile.csv) or an extract of it
(lv_loads.csv.gz, lv_res.csv.gz, profiles_2016_15min.csv.gz). Both give the same bytes.
Writes meters.csv and profiles.csv, prints statistics and checksums. Standard library only.
The rules are stated in PROVENANCE.md.
"""

import argparse
import csv
import datetime
import gzip
import hashlib
import re
from decimal import Decimal
from pathlib import Path

# Subnets taken per grid type, first by name. SimBench repeats six grid templates; these counts give
# enough prosumers while the surplus at noon stays near what the other meters draw. The order is the
# order within a round, see `choose_subnets`.
SUBNETS_PER_TYPE = {"LV4": 12, "LV3": 10, "LV5": 2, "LV6": 1, "LV2": 1}
LOAD_MW_MAX = Decimal("0.03")
LOAD_PROFILES_LEFT_OUT = "APLS"
RETAILERS = ["R1", "R2", "R3", "R4"]
UTILITIES = ["U1", "U2"]
SLOTS = 96
METER_NAME = re.compile(r"[A-Z0-9.-]{1,32}")
SOURCE_NAME = re.compile(r"(LV\d+\.\d+) (Bus|Load|SGen) (\d+)")


def main():
    parser = argparse.ArgumentParser(description="Cut the demo's slice out of SimBench.")
    parser.add_argument("--from", dest="source", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    source = Source(arguments.source)
    day, rows = sunniest_weekday(source.profiles())
    subnets = choose_subnets(source.loads)
    meters = [m for i, s in enumerate(subnets) for m in meters_of(source, s, i)]
    assign_utilities(meters, subnets)
    assert len({m["meter"] for m in meters}) == len(meters)

    arguments.out.mkdir(parents=True, exist_ok=True)
    write_csv(arguments.out / "meters.csv", list(meters[0]), meters)
    used = {m["load_profile"] for m in meters} | {m["pv_profile"] for m in meters}
    names = sorted(used - {""})
    table = [
        {"time": f"{i} {row['time'][11:]}", **{name: row[name] for name in names}}
        for i, row in enumerate(rows)
    ]
    write_csv(arguments.out / "profiles.csv", ["time", *names], table)

    print_statistics(day, subnets, meters, rows)
    for name in ["meters.csv", "profiles.csv"]:
        data = (arguments.out / name).read_bytes()
        print(f"{hashlib.sha256(data).hexdigest()}  {name}  {len(data)} bytes")


class Source:
    """Low-voltage loads and plants by subnet and node, and the year's profiles."""

    def __init__(self, folder):
        self.folder = folder
        self.is_package = (folder / "Load.csv").exists()
        self.loads = {}
        for row in self.table("Load.csv", "lv_loads.csv.gz"):
            if row["subnet"].startswith("LV"):
                self.loads.setdefault(row["subnet"], []).append(row)
        self.plants = {}
        for row in self.table("RES.csv", "lv_res.csv.gz"):
            if row["subnet"].startswith("LV") and row["type"] == "PV":
                self.plants.setdefault(row["subnet"], []).append(row)

    def table(self, package_name, extract_name):
        if self.is_package:
            with open(self.folder / package_name, newline="", encoding="utf-8") as file:
                yield from csv.DictReader(file, delimiter=";")
        else:
            with gzip.open(self.folder / extract_name, "rt", newline="", encoding="utf-8") as file:
                yield from csv.DictReader(file)

    def profiles(self):
        """Every quarter hour: time, load profiles and PV profiles, without the `_pload` suffix."""
        load = self.table("LoadProfile.csv", "profiles_2016_15min.csv.gz")
        if not self.is_package:
            for row in load:
                yield {name.removesuffix("_pload"): value for name, value in row.items()}
            return
        # The package has up to 16 digits; the extract has them rounded to four.
        for row, plant_row in zip(load, self.table("RESProfile.csv", ""), strict=True):
            assert row["time"] == plant_row["time"]
            values = [(n.removesuffix("_pload"), v) for n, v in row.items() if n.endswith("_pload")]
            values += [(name, v) for name, v in plant_row.items() if name.startswith("PV")]
            yield {"time": row["time"], **{name: f"{float(v):.4g}" for name, v in values}}


def sunniest_weekday(profiles):
    """The Monday-to-Friday day of June or July with the highest sum over PV1..PV8."""
    days = {}
    for row in profiles:
        day, month, year = (int(part) for part in row["time"][:10].split("."))
        if month in (6, 7):
            days.setdefault(datetime.date(year, month, day), []).append(row)
    weekdays = {day: rows for day, rows in days.items() if day.weekday() < 5}
    assert all(len(rows) == SLOTS for rows in weekdays.values())

    def pv_yield(day):
        return sum(Decimal(row[f"PV{k}"]) for row in weekdays[day] for k in range(1, 9))

    best = max(sorted(weekdays), key=pv_yield)
    return best, weekdays[best]


def choose_subnets(loads):
    """Subnets in rounds, one of each grid type at a time, so that any prefix is a mixed market."""
    chosen = []
    for grid_type, count in SUBNETS_PER_TYPE.items():
        names = sorted(s for s in loads if s.startswith(grid_type + "."))
        chosen += enumerate(names[:count])
    # The sort is stable: within a round the order of the table above stays.
    return [name for _, name in sorted(chosen, key=lambda pair: pair[0])]


def meters_of(source, subnet, subnet_index):
    """One meter per load; the first load of a node with a plant gets the plant."""
    plants = {}
    for row in sorted(source.plants.get(subnet, []), key=lambda row: number(row["id"])):
        profile, mw = plants.get(row["node"], (row["profile"], None))
        assert profile == row["profile"], f"plants of different profile at {row['node']}"
        size = row["pRES"] if mw is None else str(Decimal(mw) + Decimal(row["pRES"]))
        plants[row["node"]] = (profile, size)

    rows = []
    for row in sorted(source.loads[subnet], key=lambda row: number(row["id"])):
        if Decimal(row["pLoad"]) > LOAD_MW_MAX or row["profile"].startswith(LOAD_PROFILES_LEFT_OUT):
            continue
        name = f"{subnet}-B{number(row['node'])}-L{number(row['id'])}"
        rows.append((name, row["profile"], row["pLoad"], *plants.pop(row["node"], ("", ""))))
    for node, plant in plants.items():
        rows.append((f"{subnet}-B{number(node)}-G", "", "", *plant))

    meters = []
    for i, (name, load_profile, load_mw, pv_profile, pv_mw) in enumerate(rows):
        assert METER_NAME.fullmatch(name), name
        meters.append({
            "meter": name,
            "subnet": subnet,
            "load_profile": load_profile,
            "load_mw": load_mw,
            "pv_profile": pv_profile,
            "pv_mw": pv_mw,
            "retailer": RETAILERS[(subnet_index + i) % len(RETAILERS)],
        })
    return meters


def number(source_name):
    """`LV3.101 Load 7` -> 7."""
    return int(SOURCE_NAME.fullmatch(source_name).group(3))


def assign_utilities(meters, subnets):
    """Each subnet, in file order, goes to the utility with fewer meters so far."""
    sizes = dict.fromkeys(UTILITIES, 0)
    for subnet in subnets:
        utility = min(UTILITIES, key=lambda name: sizes[name])
        for meter in meters:
            if meter["subnet"] == subnet:
                meter["utility"] = utility
                sizes[utility] += 1


def write_csv(path, columns, rows):
    with open(path, "w", newline="", encoding="ascii") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def print_statistics(day, subnets, meters, rows):
    prosumers = [m for m in meters if m["load_profile"] and m["pv_profile"]]
    pure = [m for m in meters if not m["load_profile"]]
    print(f"day {day} ({day:%A}), subnets {len(subnets)}: {' '.join(subnets)}")
    print(f"meters {len(meters)}, prosumers {len(prosumers)}, pure generation {len(pure)}")
    for column in ["retailer", "utility"]:
        for value in sorted({m[column] for m in meters}):
            part = [m for m in meters if m[column] == value]
            sellers = sum(1 for m in part if m["pv_profile"])
            print(f"  {value}: {len(part)} meters, {sellers} with PV")
    load_kwh, pv_kwh, slots_with_surplus = Decimal(0), Decimal(0), 0
    print("  time   load kW     PV kW  surplus kW  deficit kW  surplus/deficit")
    for i, row in enumerate(rows):
        load, pv, surplus, deficit = (Decimal(0) for _ in range(4))
        for m in meters:
            draw = Decimal(m["load_mw"] or 0) * Decimal(row[m["load_profile"]] if m["load_mw"] else 0)
            feed = Decimal(m["pv_mw"] or 0) * Decimal(row[m["pv_profile"]] if m["pv_mw"] else 0)
            load += draw
            pv += feed
            surplus += max(feed - draw, Decimal(0))
            deficit += max(draw - feed, Decimal(0))
        load_kwh += load * 250
        pv_kwh += pv * 250
        slots_with_surplus += surplus > 0
        if i % 4 == 0:
            kw = "".join(f"{value * 1000:{w}.1f}" for value, w in
                         [(load, 10), (pv, 10), (surplus, 12), (deficit, 12)])
            print(f"  {row['time'][11:]}{kw}{surplus / deficit:17.2f}")
    print(f"load {load_kwh:.1f} kWh, PV {pv_kwh:.1f} kWh, "
          f"slots with a net surplus somewhere {slots_with_surplus} of {SLOTS}")


if __name__ == "__main__":
    main()
