package route

import "vetting/core"

// ScrapeGroup is a group of targets as Prometheus discovers them over HTTP.
type ScrapeGroup struct {
	Targets []string          `json:"targets"` // "rack3-u17:9100"
	Labels  map[string]string `json:"labels"`  // __meta_vetting_…: gone after relabelling; instance where several hosts have the name
}

// Inventory is an inventory of Ansible, as its inventory scripts print it: groups of
// hosts by name, and beside them "_meta" with the variables of each host.
type Inventory map[string]any

// InventoryGroup is one of these groups.
type InventoryGroup struct {
	Hosts []string `json:"hosts"`
}

// InventoryMeta is what stands under "_meta".
type InventoryMeta struct {
	HostVars map[string]InventoryHost `json:"hostvars"`
}

// InventoryHost is the variables of one host.
type InventoryHost struct {
	MAC        core.MAC   `json:"vetting_mac"`
	AssetTag   string     `json:"vetting_asset_tag"`
	Rack       string     `json:"vetting_rack"`
	Class      string     `json:"vetting_class"`
	Tags       []string   `json:"vetting_tags"`
	Model      string     `json:"vetting_model"`      // maker and product, as the last run found them
	State      core.State `json:"vetting_state"`      // of the run that is not over; empty: there is none
	Verdict    string     `json:"vetting_verdict"`    // of the last run; empty: never vetted
	Run        core.RunID `json:"vetting_run"`        // the last that was decided
	Quarantine string     `json:"vetting_quarantine"` // why; empty: it is not
}

// discoveryRoutes let other programs find the hosts.
func discoveryRoutes() []Route {
	return []Route{
		{
			Name: "sd.prometheus", Tag: "discovery", Method: "GET", Path: "/api/v1/sd/prometheus", Scope: Read,
			Summary: "Discover hosts that have passed, for http_sd_configs of Prometheus; hosts without a name and those in quarantine are left out",
			Query: []Param{
				{Name: "port", Kind: "integer", Summary: "port of the targets (9100 by default)"},
				{Name: "verdict", Kind: "string", Summary: "pass (by default), fail, error or cancelled: the verdict of the last run; any: whatever it is"},
			},
			OK: ok([]ScrapeGroup{}, "the targets, a group for each host"), Errors: []int{422},
		},
		{
			Name: "inventory.ansible", Tag: "discovery", Method: "GET", Path: "/api/v1/ansible/inventory", Scope: Read,
			Summary: "Get all hosts as an inventory of Ansible, in the groups all_vetting, verdict_…, model_…, class_…, rack_… and tag_…; those with a run that is not over are in busy too, held ones in held, and those in quarantine in quarantined instead of verdict_…",
			OK:      ok(Inventory{}, "what an inventory script prints with --list"),
		},
	}
}
