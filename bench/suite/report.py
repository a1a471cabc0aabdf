"""Tables: medians, ratios of paired rounds with their spread, and the targets with OK or MISSED."""
import statistics


class Targets:
    """Every target met or missed, in the order found."""

    def __init__(self):
        self.rows = []

    def at_most(self, what, value, limit, unit="", spread=None):
        self.rows.append({"what": what, "value": value, "limit": limit, "unit": unit, "spread": spread,
                          "mark": "OK" if value <= limit else "MISSED"})

    def invalid(self, what, why):
        """The measurement itself failed. That is neither met nor missed, and never counted as met."""
        self.rows.append({"what": what, "value": None, "limit": None, "unit": "", "spread": None, "mark": "INVALID",
                          "why": why})

    def count(self, mark):
        return sum(row["mark"] == mark for row in self.rows)

    def print(self):
        if not self.rows:
            return
        print("\n## Targets\n\n| | target | measured | spread | |\n| --- | --- | --- | --- | --- |")
        for r in self.rows:
            if r["mark"] == "INVALID":
                print(f"| {r['what']} | | {r['why']} | | INVALID |")
                continue
            spread = "" if r["spread"] is None else f"{r['spread'][0]:.2f}..{r['spread'][1]:.2f}"
            print(f"| {r['what']} | at most {r['limit']:g} {r['unit']} | {r['value']:.3g} {r['unit']} | {spread} "
                  f"| {r['mark']} |")


def median(runs, field):
    return statistics.median(run[field] for run in runs)


def ratio(runs, base, field):
    """Median and (min, max) of the ratios of rounds that were measured one after the other."""
    ratios = [a[field] / b[field] for a, b in zip(runs, base)]
    return statistics.median(ratios), (min(ratios), max(ratios))


def ratio_text(runs, base, field):
    value, (low, high) = ratio(runs, base, field)
    return f"{value:.2f} ({low:.2f}..{high:.2f})"


def print_throughput(results):
    for (size, connections), servers in results.items():
        print(f"\n## {size} answers, {connections} connections, as fast as it goes\n")
        print("| | CPU us/request | user share | requests/s | its core busy | p50 us | p99 us | CPU / nginx | CPU / pump "
              "| requests/s / nginx |\n|" + " --- |" * 10)
        for name, runs in servers.items():
            base = {peer: servers[peer] for peer in ("nginx", "pump") if peer in servers}
            cells = [ratio_text(runs, base[peer], "cpu_us") if peer in base else "-" for peer in ("nginx", "pump")]
            cells.append(ratio_text(runs, base["nginx"], "rps") if "nginx" in base else "-")
            print(f"| {name} | {median(runs, 'cpu_us'):.2f} | {median(runs, 'user_share'):.0%} | {median(runs, 'rps'):,.0f} "
                  f"| {median(runs, 'busy'):.0%} | {median(runs, 'p50_us'):,.0f} | {median(runs, 'p99_us'):,.0f} "
                  f"| {' | '.join(cells)} |")


def added(results, name, field):
    """What a server adds to the upstream's own latency: median and (min, max) over paired rounds, us.

    None when too few rounds were undisturbed, or when "direct" comes out slower than the way through a server: then the
    baseline is broken and the difference says nothing."""
    pairs = [(a, b) for a, b in zip(results[name], results["direct"]) if not a["disturbed"] and not b["disturbed"]]
    if not pairs or len(pairs) * 2 < len(results[name]):
        return None
    extra = [a[field] - b[field] for a, b in pairs]
    value = statistics.median(extra)
    return (value, (min(extra), max(extra))) if value >= 0 else None


def print_latency(results):
    for rate, servers in results.items():
        print(f"\n## Latency at {rate:,}/s, 1 KiB, open loop, us (spread over rounds)\n")
        print("| | p50 | p99 | p99.9 | added p50 | added p99 | added p99.9 | unanswered | rounds made again, still disturbed "
              "|\n|" + " --- |" * 9)
        for name, runs in servers.items():
            row = [f"{median(runs, field):,.0f}" for field in ("p50_us", "p99_us", "p999_us")]
            for field in ("p50_us", "p99_us", "p999_us"):
                extra = None if name == "direct" else added(servers, name, field)
                if name == "direct":
                    row.append("-")
                elif extra is None:
                    row.append("invalid")
                else:
                    value, (low, high) = extra
                    row.append(f"{value:,.0f} ({low:,.0f}..{high:,.0f})")
            row.append(str(sum(run["late"] for run in runs)))
            row.append(f"{sum(run['tries'] - 1 for run in runs)}, {sum(run['disturbed'] for run in runs)}")
            print(f"| {name} | {' | '.join(row)} |")


def print_idle(results):
    count = next(iter(results.values()))["connections"]
    print(f"\n## Memory of {count:,} idle connections\n")
    print("| | own bytes a connection | process before, MiB | process with them, MiB |\n| --- | --- | --- | --- |")
    for name, r in results.items():
        print(f"| {name} | {r['bytes']:,.0f} | {r['own_before'] / 2**20:.1f} | {r['own_after'] / 2**20:.1f} |")


def judge(targets, found, half_rate):
    """Adds the targets of the comparison for the parts that were measured."""
    for ours, size, connections, peer, limit in (("sluice", "1k", 128, "nginx", 0.58), ("sluice", "100k", 128, "nginx", 0.75),
                                                 ("sluice-epoll", "1k", 128, "nginx", 0.65),
                                                 ("sluice-epoll", "1k", 128, "pump", 1.20),
                                                 ("sluice-epoll", "100k", 128, "nginx", 0.75)):
        servers = found.get("throughput", {}).get((size, connections), {})
        if ours in servers and peer in servers:
            value, spread = ratio(servers[ours], servers[peer], "cpu_us")
            targets.at_most(f"CPU a request, {size}, {connections} connections, {ours} / {peer}", value, limit, spread=spread)
    for rate, servers in found.get("latency", {}).items():
        if rate != half_rate and "sluice" in servers and "sluice-epoll" in servers:
            value, spread = ratio(servers["sluice"], servers["sluice-epoll"], "cpu_us")
            targets.at_most(f"CPU a request at {rate:,}/s, sluice / sluice-epoll", value, 1.05, spread=spread)
    judge_latency(targets, found.get("latency", {}).get(half_rate, {}))
    if "sluice" in found.get("idle", {}):
        targets.at_most("own memory an idle connection", found["idle"]["sluice"]["bytes"], 600, "bytes")


def judge_latency(targets, latencies):
    if "sluice" not in latencies:
        return
    broken = "too few undisturbed rounds, or a baseline slower than the way through a server"
    for field, limit in (("p50_us", 100), ("p99_us", 1000)):
        what = f"added {field[:-3]} at half load"
        extra = added(latencies, "sluice", field)
        if extra is None:
            targets.invalid(what, broken)
        else:
            targets.at_most(what, extra[0], limit, "us", extra[1])
    if "nginx" in latencies:
        what = "added p99 at half load, at most nginx's"
        ours, theirs = added(latencies, "sluice", "p99_us"), added(latencies, "nginx", "p99_us")
        if ours is None or theirs is None:
            targets.invalid(what, broken)
        else:
            targets.at_most(what, ours[0], theirs[0], "us", ours[1])
