"""What a process uses, seen from outside: CPU time, memory, open files, connections."""

import ctypes
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own, and this is the one module to use it


def cpu_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that a process and its living children have used."""
    process = psutil.Process(pid)
    return sum(_own_cpu_s(each) for each in [process, *process.children(recursive=True)])


def rss_mb(pid: int) -> float:
    """Return the resident memory in MB (10^6 bytes)."""
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def peak_rss_mb(pid: int) -> float:
    """Return the most that was ever resident, in MB; where the system keeps no such mark, what is resident now."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return rss_mb(pid)


def open_files(pid: int) -> int:
    """Return how many file descriptors are open, sockets included."""
    return int(psutil.Process(pid).num_fds())


def connections_to(pid: int, port: int) -> int:
    """Return how many of a process's TCP connections lead to that port."""
    return sum(1 for each in psutil.Process(pid).net_connections("tcp") if each.raddr and each.raddr.port == port)


def clients_of(pid: int, port: int) -> int:
    """Return how many TCP connections of others lead to the process's port."""
    connections = psutil.Process(pid).net_connections("tcp")
    return sum(1 for each in connections if each.raddr and each.laddr.port == port)


def _own_cpu_s(process: psutil.Process) -> float:
    if sys.platform == "linux":
        # clock_getcpuclockid(3), nanoseconds; `cpu_times` counts in ticks of 10 ms, too coarse for loads of a second.
        clock = ctypes.c_int()
        if ctypes.CDLL(None).clock_getcpuclockid(process.pid, ctypes.byref(clock)) == 0:
            return time.clock_gettime(clock.value)
    times = process.cpu_times()
    return float(times.user + times.system)
