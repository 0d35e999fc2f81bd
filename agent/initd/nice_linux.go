package initd

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Nice sets the niceness of this process: of the threads that there are, from
// which later ones have it. On Linux each thread has its own (setpriority(2), bugs).
func Nice(niceness int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("setting the niceness: %w", err)
	}

	var faults []error

	for _, task := range tasks {
		tid, err := strconv.Atoi(task.Name())
		if err != nil {
			continue
		}

		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, niceness); err != nil && !errors.Is(err, unix.ESRCH) {
			faults = append(faults, fmt.Errorf("setting the niceness of thread %d: %w", tid, err))
		}
	}

	return errors.Join(faults...)
}
