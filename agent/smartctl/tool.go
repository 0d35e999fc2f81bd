package smartctl

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path"
	"strings"
	"time"

	"vetting/agent/disk"
)

// Run runs smartctl with these arguments and returns what it wrote. The error is that
// of starting it, or of ctx; its exit status is in what it wrote.
type Run func(ctx context.Context, args ...string) ([]byte, error)

// ErrAbsent means that there is no smartctl in this image.
var ErrAbsent = errors.New("the image has no smartctl (the optional tool pack)")

// Find returns the smartctl of a tool pack below root, which is that of the running
// machine; nil where there is none.
func Find(root fs.FS) Run {
	for _, folder := range []string{"usr/sbin", "usr/bin", "sbin", "bin", "usr/local/sbin", "opt/toolpack/sbin"} {
		name := path.Join(folder, "smartctl")
		if info, err := fs.Stat(root, name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return program("/" + name)
		}
	}

	return nil
}

// program runs a program; a controller that does not answer holds it up for a minute
// at most.
func program(file string) Run {
	const patience = time.Minute

	return func(ctx context.Context, args ...string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()

		cmd := exec.CommandContext(ctx, file, args...)
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

	run Run
}

// Drivers are the kernel's drivers of RAID controllers that smartctl can look behind.
func Drivers() []string { return []string{"megaraid_sas", "hpsa", "smartpqi", "arcmsr", "aacraid"} }

// Members lists the disks behind the controller of a volume: its driver, the number of
// its SCSI host, and for Areca the generic device of the controller itself. A place
// without a disk is none. It fails where the driver is unknown, or smartctl cannot run.
func Members(ctx context.Context, run Run, driver, device string, host int, generic string) ([]Member, []Report, error) {
	types, device, err := places(driver, device, host, generic)
	if err != nil {
		return nil, nil, err
	}

	var (
		members []Member
		reports []Report
	)

	for _, kind := range types {
		m := Member{device, kind, run}

		report, err := m.ask(ctx, "--info")
		if errors.Is(err, errNoDisk) {
			continue
		}

		if err != nil {
			return nil, nil, err
		}

		members, reports = append(members, m), append(reports, report)
	}

	return members, reports, nil
}

// places are where disks may be behind a controller, as smartctl(8) names them.
func places(driver, device string, host int, generic string) (types []string, through string, err error) {
	count := func(n int, format string, args ...any) {
		for i := range n {
			types = append(types, fmt.Sprintf(format, append(args, i)...))
		}
	}

	switch driver {
	case "megaraid_sas":
		count(64, "megaraid,%d")
	case "hpsa", "smartpqi":
		count(32, "cciss,%d")
	case "aacraid":
		count(32, "aacraid,%d,0,%d", host)
	case "arcmsr":
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

// Start starts a self-test in the background.
func (m Member) Start(ctx context.Context, length disk.Length) error {
	word := "short"
	if length == disk.ExtendedTest {
		word = "long"
	}

	_, err := m.ask(ctx, "--test="+word)

	return err
}

// Abort ends the self-test that is under way.
func (m Member) Abort(ctx context.Context) error {
	_, err := m.ask(ctx, "--abort")

	return err
}

func (m Member) ask(ctx context.Context, args ...string) (Report, error) {
	out, err := m.run(ctx, append(args, "--json", "--device="+m.Type, m.Device)...)
	if err != nil {
		return Report{}, err
	}

	return Parse(out)
}
