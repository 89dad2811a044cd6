"""How much CPU time a process has used: its own clock, in nanoseconds where the system has it (Linux)."""

import ctypes
import sys
import time

import psutil


def cpu_s(pid: int) -> float:
    """Return the CPU seconds, user and system, that a process and its living children have used."""
    process = psutil.Process(pid)
    return sum(_own_cpu_s(each) for each in [process, *process.children(recursive=True)])


def _own_cpu_s(process: psutil.Process) -> float:
    if sys.platform == "linux":
        # clock_getcpuclockid(3); `cpu_times` counts in ticks of 10 ms, too coarse for loads of a second.
        clock = ctypes.c_int()
        if ctypes.CDLL(None).clock_getcpuclockid(process.pid, ctypes.byref(clock)) == 0:
            return time.clock_gettime(clock.value)
    times = process.cpu_times()
    return float(times.user + times.system)
