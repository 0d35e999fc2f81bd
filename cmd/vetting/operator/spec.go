package operator

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
)

// specCommand works on the expected spec of a host, which is YAML whatever -o says.
func (e *Env) specCommand() *cobra.Command {
	spec := e.group("spec", "What a host should be made of",
		verb{
			use: "set HOST [FILE]", aliases: []string{"put"}, short: "Set the expected spec, from a file or standard input", route: "hosts.spec", sheet: hostSheet(),
			example: "  vetting host spec set rack3-u17 spec.yaml\n  vetting host spec take rack3-u17 | vetting host spec set rack3-u17",
		},
		verb{use: "rm HOST…", short: "Remove the expected spec; the class's counts then", route: "hosts.spec", fixed: map[string]any{}, sheet: hostSheet()},
	)
	spec.AddCommand(
		e.remote(&cobra.Command{Use: "get HOST", Short: "Print the expected spec"}, (*session).getSpec),
		e.learnCommand(),
	)

	return spec
}

func (s *session) getSpec(args []string) error {
	host, err := s.host(s.cmd.Context(), "hosts.list", args[0])

	switch {
	case err != nil:
		return err
	case host.SpecYAML == "":
		return fmt.Errorf("host %s has no expected spec of its own; set one with: vetting host spec set %s FILE", host.Name, host.MAC)
	}

	_, err = io.WriteString(s.env.Out, host.SpecYAML)

	return err
}

func (e *Env) learnCommand() *cobra.Command {
	var (
		run string
		put bool
	)

	cmd := e.remote(&cobra.Command{
		Use: "take HOST", Aliases: []string{"learn"}, Short: "Print the spec that the machine of a run fulfils; it counts once it is set",
	}, func(s *session, args []string) error { return s.learn(args[0], run, put) })
	cmd.Flags().StringVar(&run, "run", "", "the run to learn from (default the host's last)")
	cmd.Flags().BoolVar(&put, "put", false, "make it the host's expected spec at once")

	return cmd
}

func (s *session) learn(name, run string, put bool) error {
	ctx := s.cmd.Context()

	host, err := s.host(ctx, "hosts.list", name)
	if err != nil {
		return err
	}

	var learned route.SpecText

	at := []string{string(host.MAC)}
	err = s.api.Call(ctx, client.Request{Route: "hosts.learn", Params: at, Body: route.SpecLearn{Run: run}}, &learned)

	if err == nil && put {
		err = s.api.Call(ctx, client.Request{Route: "hosts.spec", Params: at, Body: learned.YAML}, &core.Host{})
	}

	if err == nil && !s.out.quiet {
		_, err = io.WriteString(s.env.Out, learned.YAML)
	}

	return err
}

// exportCommand writes the hosts as the API does, in one format.
func (e *Env) exportCommand() *cobra.Command {
	var to string

	cmd := e.remote(&cobra.Command{
		Use: "export", Short: "Write all hosts as CSV with the headers of NetBox; vetting host import reads it",
	}, func(s *session, _ []string) error { return s.save(client.Request{Route: "hosts.export"}, to) })
	cmd.Flags().StringVar(&to, "to", "-", "file to write, - for standard output")

	return cmd
}

// save writes an answer as it is to a file, or to standard output for "-".
func (s *session) save(ask client.Request, to string) (err error) {
	answer, err := s.api.Stream(s.cmd.Context(), ask)
	if err != nil {
		return err
	}

	defer func() { err = errors.Join(err, answer.Close()) }()

	if to == "-" {
		_, err = io.Copy(s.env.Out, answer)

		return err
	}

	return writeFile(to, answer)
}
