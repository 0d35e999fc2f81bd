package ui

import (
	"cmp"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/gofiber/fiber/v2"

	"vetting/core"
	"vetting/core/route"
	"vetting/ui/lookup"
)

// exporterPort is where node_exporter listens, which most scrape.
const exporterPort = 9100

// discoverTargets answers as Prometheus asks for targets over HTTP: always a list,
// whole, without pages.
func (u *UI) discoverTargets(c *fiber.Ctx) error {
	port, err := number(c, "port")
	if err != nil {
		return err
	}

	if port = cmp.Or(port, exporterPort); port > 65535 {
		return core.NewProblem(core.ErrInvalid, "request/bad-number", "port must be a number from 1 to 65535.")
	}

	want := core.Verdict(cmp.Or(c.Query("verdict"), string(core.Pass)))

	switch want {
	case core.Pass, core.Fail, core.Error, core.Cancelled, "any":
	default:
		return core.NewProblem(core.ErrInvalid, "request/bad-verdict", "verdict must be pass, fail, error, cancelled or any.")
	}

	groups := []route.ScrapeGroup{}

	err = u.look(c, func(r core.Reader) error {
		hosts, err := lookup.AllHosts(r)
		named := countNames(hosts)

		for i := range hosts {
			h := &hosts[i]
			if (want == "any" || h.LastVerdict == want) && h.Quarantine == "" && isHostName(h.Name) {
				groups = append(groups, scrapeGroup(h, port, named[h.Name] > 1))
			}
		}

		return err
	})

	return shown(c, http.StatusOK, groups, err)
}

// countNames tells how many hosts have each name.
func countNames(hosts []core.Host) map[string]int {
	named := map[string]int{}

	for i := range hosts {
		named[hosts[i].Name]++
	}

	return named
}

// isHostName reports whether a name can stand in an address (RFC 1123, section 2.1).
func isHostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '.'
	})
}

// scrapeGroup is the target of a host. Where it shares its name, its series have the MAC for an
// instance: Prometheus takes two targets that are alike in all their labels for one.
func scrapeGroup(h *core.Host, port int, shared bool) route.ScrapeGroup {
	tags := ""
	if len(h.Tags) > 0 {
		tags = "," + strings.Join(h.Tags, ",") + "," // so that a pattern finds one: .*,dc1,.*
	}

	group := route.ScrapeGroup{
		Targets: []string{net.JoinHostPort(h.Name, strconv.Itoa(port))},
		Labels: map[string]string{
			"__meta_vetting_name": h.Name, "__meta_vetting_mac": string(h.MAC), "__meta_vetting_asset_tag": h.AssetTag,
			"__meta_vetting_rack": h.Rack, "__meta_vetting_class": h.Class, "__meta_vetting_tags": tags,
			"__meta_vetting_verdict": string(h.LastVerdict), "__meta_vetting_run": string(h.LastRun),
		},
	}

	if shared {
		group.Labels["instance"] = string(h.MAC)
	}

	return group
}

// getInventory answers as an inventory script of Ansible does with --list.
func (u *UI) getInventory(c *fiber.Ctx) error {
	vars, answer := map[string]route.InventoryHost{}, route.Inventory{}

	err := u.look(c, func(r core.Reader) error {
		hosts, err := lookup.AllHosts(r)
		named := countNames(hosts)

		for i := range hosts {
			name := hosts[i].Name
			if name == "" || named[name] > 1 { // what is said of one must not be taken for what is said of another
				name = string(hosts[i].MAC)
			}

			h, err := u.inventoryHost(r, &hosts[i])
			if err != nil {
				return err
			}

			vars[name] = h

			for _, group := range inventoryGroups(&h) {
				g, _ := answer[group].(route.InventoryGroup)
				g.Hosts = append(g.Hosts, name)
				answer[group] = g
			}
		}

		return err
	})

	answer["_meta"] = route.InventoryMeta{HostVars: vars}

	return shown(c, http.StatusOK, answer, err)
}

func (u *UI) inventoryHost(r core.Reader, host *core.Host) (h route.InventoryHost, err error) {
	h = route.InventoryHost{
		MAC: host.MAC, AssetTag: host.AssetTag, Rack: host.Rack, Class: host.Class, Tags: append([]string{}, host.Tags...),
		Verdict: string(host.LastVerdict), Run: host.LastRun, Quarantine: host.Quarantine,
	}

	if host.LastRun != "" {
		if h.Model, err = u.shelf.Model(r, host.LastRun); err != nil {
			return h, err
		}
	}

	if host.CurrentRun == "" {
		return h, nil
	}

	run, err := u.shelf.Run(r, host.CurrentRun)
	if err == nil && !run.State.Over() {
		h.State = run.State
	}

	return h, err
}

// inventoryGroups are the groups that a host is in. What was decided of one in quarantine
// is in doubt, and nobody should take it into service by its verdict.
func inventoryGroups(h *route.InventoryHost) []string {
	groups := []string{"all_vetting"}

	if h.Quarantine != "" {
		groups = append(groups, "quarantined")
	} else {
		groups = append(groups, groupName("verdict", cmp.Or(h.Verdict, "none")))
	}

	if h.State != "" {
		groups = append(groups, "busy")
	}

	if h.State == core.StateFailedHolding {
		groups = append(groups, "held")
	}

	for kind, value := range map[string]string{"model": h.Model, "class": h.Class, "rack": h.Rack} {
		if value != "" {
			groups = append(groups, groupName(kind, value))
		}
	}

	for _, tag := range h.Tags {
		groups = append(groups, groupName("tag", tag))
	}

	slices.Sort(groups)

	return slices.Compact(groups) // two tags may come to one name
}

// groupName writes a name as Ansible takes it.
func groupName(kind, value string) string {
	return kind + "_" + strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToLower(r)
		}

		return '_'
	}, value)
}
