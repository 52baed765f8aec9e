/*
 * Loaded into a small kernel before libc. User-mode Linux writes the extended registers of its processes in a buffer of a fixed size;
 * the machine's kernel takes them whole or not at all (EFAULT, arch/x86/kernel/fpu/regset.c), and on processors with matrix registers
 * the whole is larger than that buffer. So what is written is completed with what stands there.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PEEK_TEXT = 1, PEEK_DATA = 2, PEEK_USER = 3, GET_REGISTERS = 0x4204, SET_REGISTERS = 0x4205, EXTENDED = 0x202 };

/* Larger than any processor's. A small kernel has one thread that writes registers. */
static unsigned char whole[65536];

long ptrace(int request, ...)
{
	va_list arguments;
	va_start(arguments, request);
	pid_t pid = va_arg(arguments, pid_t);
	void *address = va_arg(arguments, void *);
	void *data = va_arg(arguments, void *);
	va_end(arguments);

	if (request == PEEK_TEXT || request == PEEK_DATA || request == PEEK_USER) {
		/* The C library's way: the word is the value. */
		long word = 0;
		long failed = syscall(SYS_ptrace, request, pid, address, &word);
		if (failed < 0)
			return -1;
		errno = 0;
		return word;
	}
	if (request == SET_REGISTERS && (long)address == EXTENDED) {
		const struct iovec *part = data;
		struct iovec all = { whole, sizeof whole };
		if (syscall(SYS_ptrace, GET_REGISTERS, pid, address, &all) < 0)
			return -1;
		if (part->iov_len < all.iov_len) {
			memcpy(whole, part->iov_base, part->iov_len);
			return syscall(SYS_ptrace, request, pid, address, &all);
		}
	}
	return syscall(SYS_ptrace, request, pid, address, data);
}
