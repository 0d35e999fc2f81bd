package operator

import (
	"errors"
	"fmt"
	"slices"

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
			"With --wait it ends as vetting run wait does: " + verdictCodes,
		Example: "  vetting run start rack3-u17 rack3-u18 --profile quick --wait --timeout 2h",
	}
	b := newBody(cmd, &v, &found)

	var (
		p    *patience
		wait bool
	)

	e.remote(cmd, func(s *session, args []string) error {
		if (p.strict || p.timeout > 0) && !wait {
			return usage("--strict and --timeout go with --wait")
		}

		return s.start(b, args, p, wait)
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the runs are decided; the exit code is the verdict")

	p = patienceFlags(cmd)

	// It only fails for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("profile", e.complete([]word{{name: "PROFILE", several: true}}))

	return cmd
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
		id, answer, err := s.startOne(b, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))

			continue
		}

		ids = append(ids, id)

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

func (s *session) startOne(b *body, name string) (id string, answer []byte, err error) {
	mac, err := s.resolve(s.cmd.Context(), "HOST", name)
	if err != nil {
		return "", nil, err
	}

	content, err := b.content(s, []string{mac}, nil, nil)
	if err != nil {
		return "", nil, err
	}

	if err := s.api.Call(s.cmd.Context(), client.Request{Route: "hosts.start", Params: []string{mac}, Body: content}, &answer); err != nil {
		return "", nil, err
	}

	rows, err := rowsOf(answer, "")
	if err != nil {
		return "", nil, err
	}

	return plain(at(rows[0], "id")), slices.Clone(answer), nil
}
