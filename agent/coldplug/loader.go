package coldplug

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"syscall"
)

// Loader loads modules with what they need. Not safe for concurrent use.
type Loader struct {
	tables *Tables
	insert func(file string) error
	log    *slog.Logger
	done   map[string]error // name → how loading it went
	seen   map[string]bool  // modaliases handled
	loaded int
}

// NewLoader returns a loader; insert hands one module file, named relative to the
// folder of the tables, to the kernel (see Insert).
func NewLoader(tables *Tables, insert func(file string) error, log *slog.Logger) *Loader {
	return &Loader{tables: tables, insert: insert, log: log, done: map[string]error{}, seen: map[string]bool{}}
}

// Loaded returns how many modules were given to the kernel and accepted.
func (l *Loader) Loaded() int { return l.loaded }

// Load loads a module by name, or by an alias without wildcards. A module that is
// there already, or built in, is no error; one that is not in the image is
// fs.ErrNotExist.
func (l *Loader) Load(name string) error {
	if module := underscores(name); l.tables.files[module] != "" {
		return l.load(module)
	}

	// Aliases are written with dashes or underscores, as it pleased their module.
	aliases := l.tables.Modules(name)
	if len(aliases) == 0 {
		return fmt.Errorf("loading module %s: %w", name, fs.ErrNotExist)
	}

	return l.load(aliases[0])
}

func (l *Loader) load(name string) error {
	if err, tried := l.done[name]; tried {
		return err
	}

	l.done[name] = nil // ends cycles of soft dependencies

	for _, soft := range l.tables.pre[name] {
		l.wish(soft)
	}

	err := l.hard(name)
	l.done[name] = err

	for _, soft := range l.tables.post[name] {
		l.wish(soft)
	}

	return err
}

// wish loads a soft dependency, whose absence is allowed.
func (l *Loader) wish(name string) {
	if err := l.Load(name); err != nil {
		l.log.Debug("soft dependency not loaded", slog.String("module", name), slog.String("error", err.Error()))
	}
}

func (l *Loader) hard(name string) error {
	file := l.tables.files[name]
	if file == "" {
		return fmt.Errorf("loading module %s: %w", name, fs.ErrNotExist)
	}

	// depmod lists the nearest need first and the deepest last.
	for _, need := range slices.Backward(l.tables.needs[file]) {
		if err := l.load(moduleName(need)); err != nil {
			return fmt.Errorf("loading module %s: %w", name, err)
		}
	}

	switch err := l.insert(file); {
	case err == nil:
		l.loaded++

		return nil
	case errors.Is(err, syscall.EEXIST):
		return nil
	default:
		return fmt.Errorf("loading module %s: %w", name, err)
	}
}

// Device loads the modules for a modalias. Modules that refuse because their
// hardware is not there (ENODEV, which powernow_k8, edac_mce_amd and ipmi_si do
// as a matter of course) are told at debug level, others as warnings.
func (l *Loader) Device(modalias string) {
	if l.seen[modalias] {
		return
	}

	l.seen[modalias] = true

	for _, name := range l.tables.Modules(modalias) {
		l.report(name, l.load(name))
	}
}

func (l *Loader) report(name string, err error) {
	level := slog.LevelWarn

	switch {
	case err == nil:
		return
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EBUSY), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.EOPNOTSUPP):
		level = slog.LevelDebug
	}

	//nolint:sloglint,forbidigo // a log line waits for nobody; the level depends on the error
	l.log.Log(context.Background(), level, "module not loaded", slog.String("module", name), slog.String("error", err.Error()))
}

// Walk loads modules for all devices under sys/devices of root, again and again
// until no new modalias shows up. Network devices come first, so that the machine
// can speak while the rest is still being found.
func (l *Loader) Walk(ctx context.Context, root fs.FS) error {
	for ctx.Err() == nil {
		fresh, err := l.fresh(root)
		if err != nil {
			return err
		}

		if len(fresh) == 0 {
			return nil
		}

		slices.SortStableFunc(fresh, func(a, b string) int { return rank(a) - rank(b) })

		for _, modalias := range fresh {
			if ctx.Err() != nil {
				break
			}

			l.Device(modalias)
		}
	}

	return ctx.Err()
}

// rank puts network controllers (PCI class 02, virtio device 1) before everything.
func rank(modalias string) int {
	switch {
	case strings.HasPrefix(modalias, "virtio:d00000001"), strings.HasPrefix(modalias, "pci:") && strings.Contains(modalias, "bc02"):
		return 0
	case strings.HasPrefix(modalias, "pci:v00001AF4"): // virtio's bus is needed first
		return 0
	case strings.HasPrefix(modalias, "pci:"), strings.HasPrefix(modalias, "virtio:"):
		return 1
	default:
		return 2
	}
}

// fresh returns the modaliases that were not handled yet, each once. Devices that
// go away while we walk are passed over.
func (l *Loader) fresh(root fs.FS) (aliases []string, err error) {
	found := map[string]bool{}

	err = fs.WalkDir(root, "sys/devices", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "modalias" || d.IsDir() {
			return nil //nolint:nilerr // a device that has just gone
		}

		text, err := fs.ReadFile(root, name)
		if err != nil {
			return nil //nolint:nilerr // likewise
		}

		modalias := strings.TrimSpace(string(text))
		if modalias != "" && len(modalias) < maxLine && !l.seen[modalias] && !found[modalias] {
			found[modalias] = true
			aliases = append(aliases, modalias)
		}

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walking devices: %w", err)
	}

	return aliases, nil
}
