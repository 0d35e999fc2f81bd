package blockdev_test

import (
	"testing"
	"testing/synctest"
	"time"

	"vetting/agent/blockdev"
	"vetting/core/diskguard"
)

// late is a machine one of whose disks takes its time to be looked at.
type late struct {
	*world

	takes time.Duration
}

func (l *late) Survey(age time.Duration) ([]diskguard.Disk, error) {
	time.Sleep(l.takes) // of synctest

	return l.world.Survey(age)
}

// Who waits for a disk that does not answer hears that it goes on, and the time is not
// that of the disk that is written.
func TestALookThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &late{world: newWorld(t, 1), takes: 20 * time.Second}
		l.calm = true
		l.all[0].foreign = false
		l.lease = l.now.Add(24 * time.Hour)

		moved := 0
		r := l.request("S0", false)
		r.Moved = func() { moved++ }

		device, err := blockdev.Open(t.Context(), l, r)
		if err != nil {
			t.Fatal(err)
		}

		moved = 0
		l.now = l.now.Add(time.Minute)

		n, took, err := device.WriteTimed(make([]byte, 512), 0)
		if n != 512 || took != 0 || err != nil || moved < 19 {
			t.Errorf("%d bytes in %v, %d times moved: %v", n, took, moved, err)
		}

		if err := device.Close(); err != nil {
			t.Error(err)
		}
	})
}
