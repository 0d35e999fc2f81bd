package operator

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core/route"
)

// startFlags are what a run can be started with.
func startFlags() []field {
	return []field{
		{"profile", "profile", text, "which tests, see: vetting profile list"},
		{"scale", "scale", number, "shorten or stretch the durations; printed on the report"},
		{"arm", "armed_disks", list, "serial of a disk that may be overwritten"},
		{"batch", "batch", text, "name under which the runs are looked at together, see: vetting batch show"},
		{"grace", "grace_s", number, "seconds in which the start can be withdrawn (vetting run withdraw) before the run begins; none: it begins at once"},
		{"set", "overrides.config", pairs, "setting of a stage for this run, such as SMART.self_test=none"},
	}
}

func (e *Env) startCommand() *cobra.Command {
	v := verb{use: "start HOST…", route: "hosts.start", flags: startFlags()}
	found, _ := route.Find(v.route)
	cmd := &cobra.Command{
		Use: v.use, Short: "Start runs on hosts",
		Long: "Nothing is asked, whatever is armed: --arm names each disk by its serial number. With --grace the start can be withdrawn for a while, as in the console.\n" +
			"With --dry-run nothing is started: it says which stages would run and how long they take, and what would become of each disk; " +
			"the exit code is 1 where a start would be refused.\n" +
			"With --wait it ends as vetting run wait does: " + verdictCodes,
		Example: "  vetting run start rack3-u17 rack3-u18 --profile quick --wait --timeout 2h\n  vetting run start rack3-u17 --profile deep --arm S3Z9NX0M --dry-run",
	}
	b := newBody(cmd, &v, &found)

	var (
		p         *patience
		wait, dry bool
	)

	e.remote(cmd, func(s *session, args []string) error {
		if (p.strict || p.timeout > 0) && !wait {
			return usage("--strict and --timeout go with --wait")
		}

		if dry && wait {
			return usage("--dry-run starts nothing that could be waited for; leave --wait out")
		}

		if dry {
			return s.tryStart(b, args)
		}

		return s.start(b, args, p, wait)
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the runs are decided; the exit code is the verdict")

	cmd.Flags().BoolVar(&dry, "dry-run", false, "start nothing, and say what a start would do")

	p = patienceFlags(cmd)

	// It only fails for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("profile", e.complete([]word{{name: "PROFILE", several: true}}))

	return cmd
}

// planSheet is how a plan looks.
func planSheet() sheet {
	return sheet{
		columns: "host name=host_name profile scale refused=refused.message boots_by=power compared_with_spec_of=spec overwrites_disks=writes " +
			"takes=mid_s|seconds at_least=low_s|seconds at_most=high_s|seconds learned_from_runs=runs",
		name: "host",
		more: []sheet{
			{list: "stages", columns: "stage left_out_because=skip takes=mid_s|seconds at_least=low_s|seconds at_most=high_s|seconds learned_from_runs=runs"},
			{list: "disks", columns: "becomes=fate serial model bay name size=size_bytes|bytes content"},
			{list: "disks.against", columns: "refused_because=code evidence"},
		},
	}
}

// tryStart says of each host what a start would do there.
func (s *session) tryStart(b *body, names []string) error {
	var errs []error

	page := s.out.printer(s.env.Out, planSheet())

	for _, name := range names {
		answer, err := s.startOne(b, name, "hosts.plan")
		if err == nil {
			err = page.show(answer)
		}

		if err == nil {
			err = refusalOf(answer)
		}

		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}

	return errors.Join(append([]error{page.close()}, errs...)...)
}

// refusalOf says why a plan would not be started now; nil: it would.
func refusalOf(answer []byte) error {
	rows, err := rowsOf(answer, "")
	if err != nil {
		return err
	}

	if why := plain(at(rows[0], "refused.message")); why != "" {
		return &Exit{Code: Failed, Err: errors.New("it would be refused: " + clean(why))}
	}

	return nil
}

// start starts a run on each host. Where one is refused the others are started all
// the same.
func (s *session) start(b *body, names []string, p *patience, wait bool) error {
	var (
		ids  []string
		errs []error
	)

	page := s.out.printer(s.env.Out, sheet{list: "", columns: "run=id host=host_name profile state", name: "id"})

	for _, name := range names {
		answer, err := s.startOne(b, name, "hosts.start")
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))

			continue
		}

		rows, err := rowsOf(answer, "")
		if err != nil {
			return err
		}

		ids = append(ids, plain(at(rows[0], "id")))

		if wait {
			continue
		}

		if err := page.show(answer); err != nil {
			return err
		}
	}

	err := errors.Join(append([]error{page.close()}, errs...)...)
	if !wait || len(ids) == 0 {
		return err
	}

	// What was not started counts more than how the others end.
	if waited := s.await(ids, p, nil); err == nil {
		err = waited
	}

	return err
}

// startOne makes the call that starts a run on a host, or that says what it would do.
func (s *session) startOne(b *body, name, call string) (answer []byte, err error) {
	mac, err := s.resolve(s.cmd.Context(), "HOST", name)
	if err != nil {
		return nil, err
	}

	content, err := b.content(s, []string{mac}, nil, nil)
	if err != nil {
		return nil, err
	}

	err = s.api.Call(s.cmd.Context(), client.Request{Route: call, Params: []string{mac}, Body: content}, &answer)

	return answer, err
}
