package smartctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vetting/agent/disk"
)

// Run runs smartctl with these arguments and returns what it wrote. The error is that
// of starting it, or of ctx; its exit status is in what it wrote.
type Run func(ctx context.Context, args ...string) ([]byte, error)

// ErrAbsent means that there is no smartctl in this image.
var ErrAbsent = errors.New("the image has no smartctl (the optional tool pack)")

// Find returns the smartctl of the image or of a tool pack below root, which is that of
// the running machine; nil where there is none. A tool pack is an overlay, a folder
// /overlay/NAME, and brings the libraries and the dynamic loader of its program, since the
// image has neither.
func Find(root fs.FS) Run {
	programs := []string{"usr/sbin", "usr/bin", "sbin", "bin"}

	for _, folder := range programs {
		if name := path.Join(folder, "smartctl"); isProgram(root, name) {
			return program("/" + name)
		}
	}

	overlays, _ := fs.Glob(root, "overlay/*") //nolint:errcheck // the pattern is sound

	for _, overlay := range overlays {
		for _, folder := range programs {
			if name := path.Join(overlay, folder, "smartctl"); isProgram(root, name) {
				return program(loading(root, overlay, "/"+name)...)
			}
		}
	}

	return nil
}

func isProgram(root fs.FS, name string) bool {
	info, err := fs.Stat(root, name)

	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// loading is the command that runs a program with the loader and the libraries of its
// overlay: ld.so(8). One without a loader is linked statically.
func loading(root fs.FS, overlay, file string) []string {
	folders := []string{"lib64", "lib", "usr/lib64", "usr/lib", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"}

	paths := make([]string, 0, len(folders))
	for _, folder := range folders {
		paths = append(paths, path.Join("/", overlay, folder))
	}

	for _, folder := range folders {
		for _, name := range []string{"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"} {
			if loader := path.Join(overlay, folder, name); isProgram(root, loader) {
				return []string{"/" + loader, "--library-path", strings.Join(paths, ":"), file}
			}
		}
	}

	return []string{file}
}

// program runs a command with more arguments; a controller that does not answer holds it up
// for a minute at most.
func program(command ...string) Run {
	const patience = time.Minute

	return func(ctx context.Context, args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()

		cmd := exec.CommandContext(ctx, command[0], slices.Concat(command[1:], args)...)
		cmd.WaitDelay = time.Second

		out, err := cmd.Output()

		var exit *exec.ExitError
		if errors.As(err, &exit) && ctx.Err() == nil && len(out) > 0 {
			err = nil // bits about the disk and the commands
		}

		if err != nil {
			return nil, fmt.Errorf("running smartctl: %w", err)
		}

		return out, nil
	}
}

// Member is a disk behind a RAID controller.
type Member struct {
	Device string // the block device through which it is reached, as "/dev/sda"
	Type   string // smartctl's word for it: "megaraid,4"
	Silent error  // why a disk that is there does not say who it is; nil: it does

	run Run
}

// Drivers are the kernel's drivers of RAID controllers that smartctl can look behind.
func Drivers() []string { return []string{megaraid, "hpsa", "smartpqi", areca, aacraid} }

// Drivers whose controllers are not like others.
const (
	megaraid = "megaraid_sas"
	areca    = "arcmsr"
	aacraid  = "aacraid"
)

// Members lists the disks behind the controller of a volume, with what each says of
// itself: its driver, the number of its SCSI host, and for Areca the generic device of the
// controller itself. A place that is empty by smartctl's words (see vacant) is none, unless
// the controller lists a disk there; a disk that is there and does not answer is Silent, and
// its report is empty. Of Areca's controllers an empty place and a silent disk look alike,
// and are none.
//
// It fails where the driver is unknown, smartctl cannot run or does not understand, or the
// controller holds it up again and again.
func Members(ctx context.Context, run Run, driver, device string, host int, generic string) ([]Member, []Report, error) {
	const patience = 2 // places that hold smartctl up

	types, device, err := places(driver, device, host, generic)
	if err != nil {
		return nil, nil, err
	}

	listed := listed(ctx, run, driver, host)
	for _, kind := range listed {
		if !slices.Contains(types, kind) {
			types = append(types, kind)
		}
	}

	var (
		members []Member
		reports []Report
		hung    int
	)

	for _, kind := range types {
		m := Member{Device: device, Type: kind, run: run}

		report, err := m.ask(ctx)
		if errors.Is(err, errNoDisk) && !vacant(driver, err) {
			report, err = m.ask(ctx) // drivers run short of memory for a moment
		}

		switch {
		case err == nil:
		case errors.Is(err, errNoDisk) && vacant(driver, err) && !slices.Contains(listed, kind), errors.Is(err, errSilent) && driver == areca:
			continue
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && hung < patience:
			hung++

			fallthrough
		case errors.Is(err, errNoDisk), errors.Is(err, errSilent):
			m.Silent = err
		default:
			return nil, nil, err
		}

		members, reports = append(members, m), append(reports, report)
	}

	return members, reports, nil
}

// vacant reports whether a place is empty, by the words of smartctl 7.4 (cciss.cpp,
// os_linux.cpp), which could not open it. hpsa and smartpqi list what is behind them, and
// a number beyond the list is ENXIO; whatever else fails there is a disk. aacraid tells an
// empty place as "does not exist", or as one that nobody answers at; any other result is
// that of a disk. MegaRAID and Areca have one word for all.
func vacant(driver string, cause error) bool {
	words := map[string][]string{
		"hpsa": {"No such device or address"}, "smartpqi": {"No such device or address"}, aacraid: {"does not exist", "not responding"},
	}[driver]

	return words == nil || slices.ContainsFunc(words, func(word string) bool { return strings.Contains(cause.Error(), word) })
}

// listed are the places at which a controller itself says that there is a disk; only those
// of MegaRAID tell. They may be beyond those that are usual.
func listed(ctx context.Context, run Run, driver string, host int) (types []string) {
	const most = 1024

	if driver != megaraid {
		return nil
	}

	var list struct {
		Devices []struct {
			Name string `json:"name"`
			Type string `json:"type"`
		} `json:"devices"`
	}

	out, err := run(ctx, "--scan", "--json")
	if err != nil || json.Unmarshal(out, &list) != nil {
		return nil // the usual places are asked all the same
	}

	for _, d := range list.Devices {
		number, ours := strings.CutPrefix(d.Type, "megaraid,")
		if _, err := strconv.ParseUint(number, 10, 16); ours && err == nil && d.Name == fmt.Sprintf("/dev/bus/%d", host) && len(types) < most {
			types = append(types, d.Type)
		}
	}

	return types
}

// places are where disks may be behind a controller, as smartctl(8) names them.
func places(driver, device string, host int, generic string) (types []string, through string, err error) {
	count := func(n int, format string, args ...any) {
		for i := range n {
			types = append(types, fmt.Sprintf(format, append(args, i)...))
		}
	}

	switch driver {
	case megaraid:
		count(64, "megaraid,%d")
	case "hpsa", "smartpqi":
		count(32, "cciss,%d")
	case aacraid:
		count(32, "aacraid,%d,0,%d", host)
	case areca:
		if generic == "" {
			return nil, "", errors.New("the controller has no generic device (module sg)")
		}

		device = generic

		count(25, "areca,%d")
		types = types[1:] // they count from one
	default:
		return nil, "", fmt.Errorf("smartctl cannot look behind the driver %q; it can behind %s", driver, strings.Join(Drivers(), ", "))
	}

	return types, device, nil
}

// Read asks for everything.
func (m Member) Read(ctx context.Context) (Report, error) { return m.ask(ctx, "--xall") }

// Start starts a self-test in the background. disk.ErrBusy where one is under way. It
// fails where smartctl says that a command failed, unless the disk tests itself since.
func (m Member) Start(ctx context.Context, length disk.Length) error {
	word := "short"
	if length == disk.ExtendedTest {
		word = "long"
	}

	before, err := m.tests(ctx)
	if err != nil {
		return err
	}

	if before.Running {
		return fmt.Errorf("starting self-test: %w", disk.ErrBusy)
	}

	return m.order(ctx, "--test="+word, func(now Report) bool {
		began := len(now.Tests) > 0 && (len(now.Tests) != len(before.Tests) || now.Tests[0] != before.Tests[0])

		return now.Running || began
	})
}

// Abort ends the self-test that is under way. It fails where it goes on.
func (m Member) Abort(ctx context.Context) error {
	return m.order(ctx, "--abort", func(now Report) bool { return !now.Running })
}

// order has smartctl do something. Its exit status says that some command failed, not
// which: done then says whether it came to pass.
func (m Member) order(ctx context.Context, word string, done func(now Report) bool) error {
	const commandFailed = 4

	out, err := m.call(ctx, word)
	if err != nil {
		return err
	}

	a, _, err := parse(out)
	if err != nil || a.Smartctl.Exit&commandFailed == 0 {
		return err
	}

	now, err := m.tests(ctx)
	if err != nil {
		return err
	}

	if !done(now) {
		return fmt.Errorf("smartctl %s: %s", word, a.said())
	}

	return nil
}

// tests asks for self-tests alone.
func (m Member) tests(ctx context.Context) (Report, error) {
	return m.ask(ctx, "--capabilities", "--log=selftest")
}

func (m Member) ask(ctx context.Context, args ...string) (Report, error) {
	out, err := m.call(ctx, args...)
	if err != nil {
		return Report{}, err
	}

	return Parse(out)
}

// call always asks who the disk is: it is how an answer is known to be one of a disk.
func (m Member) call(ctx context.Context, args ...string) ([]byte, error) {
	return m.run(ctx, append(args, "--info", "--json=o", "--device="+m.Type, m.Device)...)
}
