package operator

import (
	"slices"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
)

// tagCommand adds and takes away single tags, where edit sets all of them.
func (e *Env) tagCommand() *cobra.Command {
	var gone []string

	cmd := e.remote(&cobra.Command{
		Use: "tag HOST [TAG…]", Short: "Add tags to a host, or take some away", Example: "  vetting host tag rack3-u17 dc1 spare --rm new",
	}, func(s *session, args []string) error { return s.tag(args[0], args[1:], gone) })
	cmd.Flags().StringSliceVar(&gone, "rm", nil, "tag to take away")

	return cmd
}

func (s *session) tag(name string, more, gone []string) error {
	if len(more)+len(gone) == 0 {
		return usage("name a tag to add, or one to take away with --rm; see: %s --help", s.cmd.CommandPath())
	}

	ctx := s.cmd.Context()

	host, err := s.host(ctx, "hosts.list", name)
	if err != nil {
		return err
	}

	tags := []string{}

	for _, tag := range slices.Concat(host.Tags, more) {
		if !slices.Contains(tags, tag) && !slices.Contains(gone, tag) {
			tags = append(tags, tag)
		}
	}

	var changed core.Host
	if err := s.api.Call(ctx, client.Request{
		Route: "hosts.update", Params: []string{string(host.MAC)}, Body: route.HostPatch{Tags: &tags},
	}, &changed); err != nil {
		return err
	}

	return s.print(changed, hostSheet())
}
