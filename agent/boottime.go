package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// boottime reads the clock that goes on while the machine sleeps, and never steps.
// Every Linux has it; without it a promise could last for ever, so that its absence
// is no case to go on in.
func boottime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("this kernel has no CLOCK_BOOTTIME: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
