"""A seccomp filter that refuses one system call, for a process about to be started."""

import ctypes
import struct

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SECCOMP_MODE_FILTER = 22, 38, 2
LOAD_NUMBER = (0x20, 0, 0, 0)         # BPF_LD | BPF_W | BPF_ABS, offset of seccomp_data.nr
EQUALS, RETURN = 0x15, 0x06           # BPF_JMP | BPF_JEQ | BPF_K; BPF_RET | BPF_K
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
IO_URING_SETUP = 425                  # the same number on every architecture


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse(number, error):
    """To be called in the child between fork and exec (`preexec_fn`)."""
    steps = [LOAD_NUMBER, (EQUALS, 0, 1, number), (RETURN, 0, 0, ERRNO | error), (RETURN, 0, 0, ALLOW)]
    code = b"".join(struct.pack("HBBI", *step) for step in steps)
    program = Program(len(steps), code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "prctl")
