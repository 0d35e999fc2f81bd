package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vetting/cmd/vetting/operator"
	"vetting/netboot/trial"
)

// trialJob is what a person wants to have tried.
type trialJob struct {
	firmware string        // as typed
	limit    time.Duration // for each machine
	verbose  bool          // show the appliance's log
	inside   string        // set for the process that is alone in its namespaces: its folder

	wanted []trial.Firmware
	live   bool // say what is seen as it is seen
}

// netbootCommand holds what is about the boot services alone: those that run, and a trial.
func (c *cli) netbootCommand(over operator.Env) *cobra.Command {
	return group("netboot", "The boot services", append(operator.Netboot(over), c.netbootTestCommand())...)
}

func (c *cli) netbootTestCommand() *cobra.Command {
	job := &trialJob{}
	names := make([]string, 0, len(trial.Firmwares()))

	for _, f := range trial.Firmwares() {
		names = append(names, string(f))
	}

	cmd := &cobra.Command{
		Use: "test", Short: "Boot a throw-away virtual host through the configuration and say step by step what was seen", Args: noArgs,
		Long: "Starts the boot services with the configuration of the appliance (mode, addresses, boot programs, image, kernel arguments, overlays) on a\n" +
			"network that has nothing to do with this machine's: a switch in a network namespace, with one virtual machine plugged in. The machine is\n" +
			"registered, a run is started for it, and it is watched until its agent has taken the run, or until the boot stands still; then the cause is\n" +
			"named, with what to do. In the modes proxy and off another DHCP server is played, too. The machine has no disk. The appliance that runs\n" +
			"meanwhile, its data and its network card are not touched, and nothing stays behind.\n\n" +
			"It takes QEMU, and root or a kernel that lets users make namespaces. Cables, switches and the firmware of real machines are not tried:\n" +
			"`vetting doctor` looks at the test network, and `vetting host trace` at the boot of a real machine. It ends with 1 where a machine did not boot.",
		Example: "  sudo vetting netboot test\n  sudo vetting netboot test --firmware uefi-secure --timeout 8m\n  sudo vetting netboot test --mode proxy -o json",
	}
	cmd.Flags().StringVar(&job.firmware, "firmware", "bios,uefi", "machines to boot, one after the other: "+strings.Join(names, ", "))
	cmd.Flags().DurationVar(&job.limit, "timeout", 5*time.Minute, "how long each of them may take")
	cmd.Flags().BoolVar(&job.verbose, "verbose", false, "show the log of the boot services, too")
	cmd.Flags().StringVar(&job.inside, "inside", "", "")
	show := operator.Lister(cmd, c.out, "boots", "firmware ok seconds cause=title evidence next", "firmware")

	settingFlags(cmd)

	// Cannot fail: the flag is there.
	_ = cmd.Flags().MarkHidden("inside")

	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.netbootTest(cmd, job, show) }

	return cmd
}

// netbootTest tries the boots of a job, in namespaces of their own, and shows what was seen.
func (c *cli) netbootTest(cmd *cobra.Command, job *trialJob, show func(any) error) error {
	if err := job.read(cmd.Flags()); err != nil {
		return err
	}

	config, _, err := c.load(cmd)
	if err != nil {
		return err
	}

	if job.inside == "" {
		return isolated(cmd)
	}

	found, err := c.tryBoots(cmd.Context(), config, job)
	if err != nil {
		return err
	}

	if !job.live {
		err = show(found)
	}

	if err == nil && !found.OK {
		err = &operator.Exit{Code: operator.Failed}
	}

	return err
}

// read makes sense of what was typed.
func (j *trialJob) read(flags *pflag.FlagSet) error {
	for name := range strings.SplitSeq(j.firmware, ",") {
		f := trial.Firmware(strings.TrimSpace(name))
		if !slices.Contains(trial.Firmwares(), f) {
			return &usageError{fmt.Errorf("--firmware %q: choose of %v", name, trial.Firmwares())}
		}

		if !slices.Contains(j.wanted, f) {
			j.wanted = append(j.wanted, f)
		}
	}

	if j.limit < time.Second || j.limit > time.Hour {
		return &usageError{fmt.Errorf("--timeout %s: between 1s and 1h", j.limit)}
	}

	var errs []error
	for _, f := range j.wanted {
		errs = append(errs, f.Missing())
	}

	format, _ := flags.GetString("output") //nolint:errcheck // Lister has declared both
	quiet, _ := flags.GetBool("quiet")     //nolint:errcheck // likewise
	j.live = format == "table" && !quiet

	return errors.Join(errs...)
}

// isolated runs the command once more, as a process that is alone in a network namespace
// without cards, and ends as that did. With a process namespace of its own, whatever it
// has started ends with it, however it ends; its files are on a file system of its own.
func isolated(cmd *cobra.Command) error {
	dir, err := os.MkdirTemp("", "vetting-trial-")
	if err != nil {
		return fmt.Errorf("making a place for the trial: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // empty: what was mounted there went with the process

	args := append([]string{"vetting"}, strings.Fields(cmd.CommandPath())[1:]...)

	cmd.Flags().Visit(func(f *pflag.Flag) { args = append(args, "--"+f.Name+"="+f.Value.String()) })

	// The signal of its parent's death follows the thread that has started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	child, err := os.StartProcess("/proc/self/exe", append(args, "--inside="+dir), &os.ProcAttr{ //nolint:gosec // ourselves
		Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr}, Sys: apart(),
	})
	if err != nil {
		return fmt.Errorf("making namespaces for the trial, which takes root, or a kernel that lets users make them: %w", err)
	}

	stop := context.AfterFunc(cmd.Context(), func() { _ = child.Signal(syscall.SIGTERM) })
	defer stop()

	state, err := child.Wait()

	switch {
	case err != nil:
		return fmt.Errorf("waiting for the trial: %w", err)
	case state.Success():
		return nil
	case state.ExitCode() < 0:
		return fmt.Errorf("the trial died: %s", state)
	default:
		return &operator.Exit{Code: operator.Code(state.ExitCode())}
	}
}

// apart are the namespaces of the trial. Who is not root is so in there.
func apart() *syscall.SysProcAttr {
	sys := &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
	}

	if os.Geteuid() != 0 {
		sys.Cloneflags |= syscall.CLONE_NEWUSER
		sys.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		sys.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}

	return sys
}
