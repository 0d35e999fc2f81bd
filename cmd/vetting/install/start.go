package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// starting has systemd start the appliance now and at every boot.
func (o *Options) starting(changed bool) []Step {
	if !booted() {
		return nil
	}

	verb := "start"
	if changed {
		verb = "restart"
	}

	return []Step{
		systemctl("daemon-reload"),
		systemctl("enable", service),
		systemctl(verb, service),
	}
}

// booted reports whether systemd runs this machine (sd_booted(3)).
func booted() bool {
	at, err := os.Lstat("/run/systemd/system")

	return err == nil && at.IsDir()
}

func systemctl(args ...string) Step {
	return Step{"systemctl " + strings.Join(args, " "), func(ctx context.Context) error { return start(ctx, find("systemctl"), args...) }}
}

// Removal returns what is to be done until nothing of the appliance is left but
// what it knows and what its operator wrote, which stay.
func Removal(o Options) ([]Step, error) {
	if o.packaged() {
		return nil, errors.New("the appliance was installed as a package, which removes it: apt-get remove vetting")
	}

	var steps []Step

	if o.here() && booted() && o.has(ownUnit) {
		steps = append(steps, systemctl("disable", "--now", service))
	}

	for _, path := range []string{ownUnit, ownAccount, ownProgram} {
		if o.has(path) {
			steps = append(steps, Step{"remove " + path, func(context.Context) error { return os.Remove(o.at(path)) }})
		}
	}

	pages, err := o.noManual()
	if err != nil {
		return nil, err
	}

	steps = append(steps, pages...)

	if o.here() && booted() && len(steps) > 0 {
		steps = append(steps, systemctl("daemon-reload"))
	}

	return steps, nil
}

// find returns the path of a program of the system; empty: there is none. Only the
// system's own folders count, whatever PATH says.
func find(name string) string {
	for _, dir := range []string{"/usr/bin", "/bin", "/usr/sbin", "/sbin"} {
		path := filepath.Join(dir, name)
		if at, err := os.Stat(path); err == nil && at.Mode().IsRegular() && at.Mode()&0o111 != 0 {
			return path
		}
	}

	return ""
}

// start runs a program of the system to its end; what it says goes to standard
// error.
func start(ctx context.Context, program string, args ...string) error {
	if program == "" {
		return errors.New("this system lacks the program for it")
	}

	child, err := os.StartProcess(program, append([]string{filepath.Base(program)}, args...), &os.ProcAttr{
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}, Files: []*os.File{nil, os.Stderr, os.Stderr},
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", program, err)
	}

	stop := context.AfterFunc(ctx, func() { _ = child.Kill() })
	defer stop()

	state, err := child.Wait()

	switch {
	case err != nil:
		return fmt.Errorf("waiting for %s: %w", program, err)
	case !state.Success():
		return fmt.Errorf("%s: %s", program, state)
	default:
		return nil
	}
}
