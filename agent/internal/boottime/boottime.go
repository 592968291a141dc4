// Package boottime reads the clock that counts from the machine's start.
//
// It is CLOCK_BOOTTIME: it goes on while the machine is suspended or a process is
// stopped, and nobody can set it. NTP slews it with the wall clock, so the two come
// apart by steps of the wall clock only. A virtual machine that is paused from
// outside may not see the time that passed.
//
// # Concurrency
//
// Everything may be called by any number of goroutines.
package boottime

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Now returns the time since the machine started.
func Now() time.Duration {
	var ts unix.Timespec
	// It never blocks: the scheduler need not hear of it.
	if _, _, err := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_BOOTTIME, uintptr(unsafe.Pointer(&ts)), 0); err != 0 {
		panic("read CLOCK_BOOTTIME: " + err.Error()) // every Linux since 2.6.39 has it
	}
	return time.Duration(ts.Nano())
}
