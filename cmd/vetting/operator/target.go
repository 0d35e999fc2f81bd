package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/route"
)

// resolve turns what a person wrote for an argument into what the API calls it.
func (s *session) resolve(ctx context.Context, kind, text string) (string, error) {
	switch kind {
	case "HOST":
		host, err := s.host(ctx, "hosts.list", text)

		return string(host.MAC), err
	case "DELETED":
		host, err := s.host(ctx, "hosts.trash", text)

		return string(host.MAC), err
	case "MACHINE":
		if mac, err := core.ParseMAC(text); err == nil {
			return string(mac), nil // it need not be registered
		}

		return s.resolve(ctx, "HOST", text)
	case "RUN":
		return s.run(ctx, text)
	default:
		return text, nil
	}
}

// host finds a host by its MAC or another one it has, its name or its asset tag,
// among those that a route lists.
func (s *session) host(ctx context.Context, list, text string) (core.Host, error) {
	mac, err := core.ParseMAC(text)
	isMAC := err == nil

	if isMAC && list == "hosts.list" {
		var host core.Host
		if err := s.api.Call(ctx, client.Request{Route: "hosts.get", Params: []string{string(mac)}}, &host); err == nil {
			return host, nil
		}
	}

	all, err := s.hosts(ctx, list)
	if err != nil {
		return core.Host{}, err
	}

	// A name is taken before an asset tag: an asset tag may be anything.
	for _, fits := range []func(*core.Host) bool{
		func(h *core.Host) bool { return isMAC && (h.MAC == mac || slices.Contains(h.Aliases, mac)) },
		func(h *core.Host) bool { return h.Name == text },
		func(h *core.Host) bool { return strings.EqualFold(h.Name, text) },
		func(h *core.Host) bool { return h.AssetTag != "" && strings.EqualFold(h.AssetTag, text) },
	} {
		switch some := filter(all, fits); len(some) {
		case 0:
		case 1:
			return some[0], nil
		default:
			return core.Host{}, usage("%q is the name of %d hosts; write the MAC of one: %s", text, len(some), macs(some))
		}
	}

	where := "list them with: vetting host list"
	if list == "hosts.trash" {
		where = "what can be brought back is listed by: vetting host trash"
	}

	return core.Host{}, fmt.Errorf("there is no host with the MAC, name or asset tag %q; %s", text, where)
}

func filter(all []core.Host, fits func(*core.Host) bool) (some []core.Host) {
	for i := range all {
		if fits(&all[i]) {
			some = append(some, all[i])
		}
	}

	return some
}

func macs(hosts []core.Host) string {
	list := make([]string, 0, len(hosts))
	for i := range hosts {
		list = append(list, string(hosts[i].MAC))
	}

	return strings.Join(list, ", ")
}

func (s *session) hosts(ctx context.Context, list string) ([]core.Host, error) {
	answer, err := s.gather(ctx, client.Request{Route: list}, 0)
	if err != nil {
		return nil, err
	}

	var all route.HostList
	if err := json.Unmarshal(answer, &all); err != nil {
		return nil, fmt.Errorf("reading the hosts: %w", err)
	}

	return all.Hosts, nil
}

// runLetters is how many letters the id of a run has.
const runLetters = 26

// run finds a run by its id, or the one that a host is in, else its last.
func (s *session) run(ctx context.Context, text string) (string, error) {
	if len(text) == runLetters {
		return strings.ToUpper(text), nil
	}

	host, err := s.host(ctx, "hosts.list", text)

	switch {
	case err != nil:
		return "", err
	case host.CurrentRun != "":
		return string(host.CurrentRun), nil
	case host.LastRun != "":
		return string(host.LastRun), nil
	default:
		return "", fmt.Errorf("host %s was never vetted; start a run with: vetting run start %s --profile quick", host.Name, host.MAC)
	}
}

// complete offers what an argument may be.
func (e *Env) complete(list []word) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		at := len(args)
		if at >= len(list) && len(list) > 0 && list[len(list)-1].several {
			at = len(list) - 1
		}

		if at >= len(list) {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}

		if list[at].name == "FILE" {
			return nil, cobra.ShellCompDirectiveDefault
		}

		api, err := e.Connect(cmd)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}

		s := &session{env: e, cmd: cmd, api: api}

		offers, err := s.offers(cmd.Context(), list[at].name)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}

		var some []cobra.Completion

		for _, offer := range offers {
			if strings.HasPrefix(offer, begun) {
				some = append(some, offer)
			}
		}

		return some, cobra.ShellCompDirectiveNoFileComp
	}
}

// offers lists what an argument of a kind may be.
func (s *session) offers(ctx context.Context, kind string) ([]string, error) {
	from := map[string]struct{ route, list, field string }{
		"HOST": {"hosts.list", "hosts", "name"}, "DELETED": {"hosts.trash", "hosts", "name"}, "RUN": {"runs.list", "runs", "id"}, "BATCH": {"batches.list", "batches", "name"},
		"SEEN": {"discovered.list", "discovered", "mac"}, "PROFILE": {"profiles.list", "profiles", "name"},
		"NOTIFIER": {"notifiers.list", "notifiers", "name"}, "CLASS": {"classes.list", "classes", "name"},
		"KEY": {"host-keys.list", "keys", "id"},
	}

	source, ok := from[kind]
	if !ok {
		return nil, nil
	}

	found, _ := route.Find(source.route)

	answer, err := s.call(ctx, &found, client.Request{Route: source.route}, mostOnPage)
	if err != nil {
		return nil, err
	}

	all, err := rowsOf(answer, source.list)
	if err != nil {
		return nil, err
	}

	var offers []string

	for _, row := range all {
		if text := plain(at(row, source.field)); text != "" {
			offers = append(offers, text)
		}
	}

	return offers, nil
}
