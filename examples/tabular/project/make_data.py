"""Makes the tables: deliveries with what is known before they leave, and whether they came late.

    python make_data.py 1    the first export, March to October, and the eval set, a sample of a whole year
    python make_data.py 2    the second export, which has the winter too
    python make_data.py day  yesterday, when it snowed: what left, and in another file what came of it

Whether a delivery is late follows from a formula with some noise.
"""

import csv
import random
import sys
from pathlib import Path

DATA = Path("data")
COLUMNS = ["delivery", "carrier", "weather", "temperature_c", "distance_km", "status"]


def deliveries(name, n, seed, snow, coldest, warmest):
    """Make rows; ``snow`` is the share of them on which it snows."""
    draw = random.Random(seed)
    rows = []
    for number in range(n):
        carrier = draw.choice(("Postwerk", "Rapid", "Velo"))
        weather = "snow" if draw.random() < snow else draw.choice(("dry", "dry", "rain"))
        temperature = draw.uniform(-9, 1) if weather == "snow" else draw.uniform(coldest, warmest)
        distance = draw.uniform(1, 300)
        trouble = distance / 300 + {"dry": 0, "rain": 0.25, "snow": 0.9}[weather] + (carrier == "Velo") * 0.15
        status = "late" if trouble + draw.gauss(0, 0.03) > 0.85 else "on_time"
        rows.append([f"{name}-{number:05}", carrier, weather, f"{temperature:.1f}", f"{distance:.1f}", status])
    return rows


def write(file, columns, rows):
    """Write a table."""
    DATA.mkdir(exist_ok=True)
    with (DATA / file).open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    print(f"data/{file}: {len(rows):,} rows")


if __name__ == "__main__":
    summer = deliveries("summer", 1_500, seed=1, snow=0, coldest=4, warmest=28)
    what = sys.argv[1]
    if what == "1":
        write("deliveries.csv", COLUMNS, summer)
        write("eval.csv", COLUMNS, deliveries("eval", 2_000, seed=2, snow=0.15, coldest=-2, warmest=28))
    elif what == "2":
        winter = deliveries("winter", 600, seed=3, snow=0.6, coldest=-4, warmest=8)
        write("deliveries.csv", COLUMNS, summer + winter)
    else:
        day = deliveries("today", 200, seed=4, snow=0.7, coldest=-4, warmest=3)
        write("day.csv", COLUMNS[:-1], [row[:-1] for row in day])
        write("day_outcomes.csv", ["delivery", "status"], [[row[0], row[-1]] for row in day])
