package main

import (
	"cmp"
	"context"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"vetting/core"
	"vetting/core/engine"
	"vetting/netboot"
	"vetting/ui"
	"vetting/ui/metric"
)

// figures counts what rooms tell each other, for /metrics. The zero figures count
// nothing yet. Safe for concurrent use.
type figures struct {
	mu   sync.Mutex
	tftp map[string]float64    // by result
	boot map[string]float64    // bytes by kind of file
	bmc  map[[2]string]float64 // by way and result

	measured time.Time // when the disk was measured last
	disk     []metric.Count
}

func count[K comparable](in *map[K]float64, key K, n float64) {
	if *in == nil {
		*in = map[K]float64{}
	}

	(*in)[key] += n
}

// step counts what is told of a boot.
func (f *figures) step(s *core.BootStep) {
	f.mu.Lock()
	defer f.mu.Unlock()

	switch s.Kind {
	case "tftp":
		count(&f.tftp, "ok", 1)
		count(&f.boot, "loader", float64(s.Bytes))
	case "tftp-probe":
		count(&f.tftp, "probe", 1) // the firmware asked only how large the file is
	case "tftp-failed":
		count(&f.tftp, "failed", 1)
	case "tftp-missing":
		count(&f.tftp, "missing", 1)
	case "kernel", "initrd", "loader":
		if s.Share == 100 {
			count(&f.boot, s.Kind, float64(s.Bytes))
		}
	}
}

// power counts the calls that an order took.
func (f *figures) power(attempts []core.PowerAttempt) {
	f.mu.Lock()
	defer f.mu.Unlock()

	for _, a := range attempts {
		count(&f.bmc, [2]string{string(a.Way), cmp.Or(a.Code, "ok")}, 1)
	}
}

func sorted(in map[string]float64) (list []metric.Count) {
	for word, n := range in {
		list = append(list, metric.Count{Of: []string{word}, N: n})
	}

	slices.SortFunc(list, func(a, b metric.Count) int { return cmp.Compare(a.Of[0], b.Of[0]) })

	return list
}

func (f *figures) transfers() []metric.Count {
	f.mu.Lock()
	defer f.mu.Unlock()

	return sorted(f.tftp)
}

func (f *figures) sent() []metric.Count {
	f.mu.Lock()
	defer f.mu.Unlock()

	return sorted(f.boot)
}

func (f *figures) calls() (list []metric.Count) {
	f.mu.Lock()
	defer f.mu.Unlock()

	for key, n := range f.bmc {
		list = append(list, metric.Count{Of: []string{key[0], key[1]}, N: n})
	}

	slices.SortFunc(list, func(a, b metric.Count) int { return slices.Compare(a.Of, b.Of) })

	return list
}

// diskEvery is how long the sizes of folders hold: reading them takes as long as there
// are files.
const diskEvery = time.Minute

// store tells what lies in the data directory and how much more fits its disk.
func (f *figures) store(dir string, now time.Time) []metric.Count {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.disk != nil && now.Sub(f.measured).Abs() < diskEvery {
		return f.disk
	}

	f.measured, f.disk = now, []metric.Count{
		{Of: []string{"ledger"}, N: bytesIn(filepath.Join(dir, ledgerDir))},
		{Of: []string{"logs"}, N: bytesIn(filepath.Join(dir, logDir))},
		{Of: []string{"artifacts"}, N: bytesIn(filepath.Join(dir, artifactDir))},
	}

	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err == nil {
		f.disk = append(f.disk, metric.Count{Of: []string{"free"}, N: float64(st.Bavail) * float64(st.Bsize)})
	}

	return f.disk
}

// statBlock is the unit of st_blocks, whatever the block size of the file system (stat(2)).
const statBlock = 512

// bytesIn adds what all files in a folder take on the disk: those of the ledger are
// sparse, and far longer than what is in them. Files come and go meanwhile: what cannot
// be read counts as nothing.
func bytesIn(dir string) (sum float64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error { // it never returns an error
		if err != nil || !entry.Type().IsRegular() {
			return nil //nolint:nilerr // see above
		}

		info, err := entry.Info()
		if err != nil {
			return nil //nolint:nilerr // see above
		}

		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			sum += float64(st.Blocks) * statBlock
		}

		return nil
	})

	return sum
}

// witness counts the steps of boots on their way to whoever takes them down.
type witness struct {
	to      netboot.Witness
	figures *figures
}

// Witness implements netboot.Witness.
func (w witness) Witness(step core.BootStep) {
	w.figures.step(&step)
	w.to.Witness(step)
}

// meter counts the calls of orders to hosts' power.
type meter struct {
	power   switchboard
	figures *figures
}

// switchboard is what reaches the controllers of hosts.
type switchboard interface {
	engine.Power
	engine.Serial
}

// Do implements engine.Power.
func (m meter) Do(ctx context.Context, order core.PowerOrder) core.PowerAnswer {
	answer := m.power.Do(ctx, order)
	m.figures.power(answer.Attempts)

	return answer
}

// Serial implements engine.Serial.
func (m meter) Serial(ctx context.Context, order core.PowerOrder, takeOver bool) (io.ReadWriteCloser, core.PowerAttempt) {
	line, tried := m.power.Serial(ctx, order, takeOver)
	m.figures.power([]core.PowerAttempt{tried})

	return line, tried
}

// counts is what /metrics has of the rooms that the console does not know.
func (a *appliance) counts() ui.Counts {
	return ui.Counts{
		Slots: func() int { return a.config.Dispatcher.MaxConcurrentRuns },
		TFTP:  a.figures.transfers, Boot: a.figures.sent, BMC: a.figures.calls,
		DHCP: func() (list []metric.Count) {
			if a.netboot == nil {
				return nil
			}

			for _, m := range a.netboot.Messages() {
				list = append(list, metric.Count{Of: []string{m.Type, m.Result}, N: float64(m.N)})
			}

			return list
		},
		Store: func() []metric.Count { return a.figures.store(a.config.DataDir, time.Now()) },
	}
}
