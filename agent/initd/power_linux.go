package initd

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// PowerOff writes out what is cached and switches the machine off. It returns only
// when the kernel refuses.
func PowerOff() error {
	unix.Sync()

	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		return fmt.Errorf("switching the machine off: %w", err)
	}

	return nil
}

// Restart writes out what is cached and starts the machine anew. It returns only when the
// kernel refuses.
func Restart() error {
	unix.Sync()

	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		return fmt.Errorf("starting the machine anew: %w", err)
	}

	return nil
}

// SetClock sets the machine's clock.
func SetClock(now time.Time) error {
	tv := unix.NsecToTimeval(now.UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		return fmt.Errorf("setting the clock: %w", err)
	}

	return nil
}

// Uptime returns how long the machine is up.
func Uptime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0
	}

	return time.Duration(now.Nano())
}
