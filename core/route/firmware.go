package route

import (
	"vetting/core"
	"vetting/core/drift"
)

// FirmwareList is the firmware a run found and what the rules frozen with it said.
type FirmwareList struct {
	Firmware []core.FirmwareItem    `json:"firmware"`
	Settings []core.FirmwareSetting `json:"settings,omitempty"`
	Checks   []core.FirmwareCheck   `json:"checks,omitempty"`
	Rules    core.FirmwareRules     `json:"rules,omitzero"`
}

// FirmwareFleet is the firmware of hosts, each as its last run found it.
type FirmwareFleet struct {
	Hosts         []FirmwareHost `json:"hosts"`
	NextPageToken string         `json:"next_page_token,omitempty"`
}

// FirmwareHost is one of them. Off: a rule speaks against it.
type FirmwareHost struct {
	core.FirmwareSnapshot

	Off bool `json:"off"`
}

// FirmwareVersions is what the parts of each model have across all hosts, those of
// more than one version first.
type FirmwareVersions struct {
	Groups []drift.Group `json:"groups"`
}

// FirmwareDiff is what differs between two runs. From is empty where none was asked
// for and there was none before; then nothing differs.
type FirmwareDiff struct {
	From    core.RunID     `json:"from,omitempty"`
	To      core.RunID     `json:"to"`
	Changes []drift.Change `json:"changes"`
}

// FirmwareHistory is the firmware of a host run by run, the newest first.
type FirmwareHistory struct {
	Runs          []FirmwareStep `json:"runs"`
	NextPageToken string         `json:"next_page_token,omitempty"`
}

// FirmwareStep is what one run found otherwise than the one before it; of the oldest
// that is known nothing is.
type FirmwareStep struct {
	Run      core.RunID     `json:"run"`
	Versions int            `json:"versions"`
	Off      bool           `json:"off"`
	Changes  []drift.Change `json:"changes"`
}

// FirmwareTexts is what firmware is held against: the operator's text and that of
// the appliance's own catalogue.
type FirmwareTexts struct {
	core.FirmwareBaseline

	Catalogue string `json:"catalogue"` // YAML
}

// FirmwareVerdict says that a text can be read.
type FirmwareVerdict struct {
	OK bool `json:"ok"`
}

func firmwareRoutes() []Route {
	const base = "/api/v1/firmware"

	return []Route{
		{
			Name: "firmware.list", Tag: "firmware", Method: "GET", Path: base, Scope: Read,
			Summary: "Show the firmware of all hosts as the last run of each found and judged it",
			Query:   append([]Param{{Name: "off", Kind: "boolean", Summary: "only hosts that a rule speaks against"}}, paging()...),
			OK:      ok(FirmwareFleet{}, "a page of hosts; a page may be short and still have a next"), Errors: []int{422},
		},
		{
			Name: "firmware.versions", Tag: "firmware", Method: "GET", Path: base + "/versions", Scope: Read,
			Summary: "Show which versions the parts of each model have across all hosts, those of more than one version first",
			OK:      ok(FirmwareVersions{}, "the models"),
		},
		{
			Name: "firmware.baseline", Tag: "firmware", Method: "GET", Path: base + "/baseline", Scope: Read,
			Summary: "Get the firmware baseline and the catalogue that comes with the appliance", OK: ok(FirmwareTexts{}, "both, as YAML"), Tagged: true,
		},
		{
			Name: "firmware.set-baseline", Tag: "firmware", Method: "PUT", Path: base + "/baseline", Scope: Operate,
			Summary: "Set the firmware baseline, for runs that are started from now on; an empty body takes it away", ReqType: YAML,
			OK: ok(core.FirmwareBaseline{}, "the baseline"), Tagged: true, Errors: []int{400, 422, 507},
		},
		{
			Name: "firmware.check-baseline", Tag: "firmware", Method: "POST", Path: base + "/baseline/check", Scope: Operate,
			Summary: "Say what is wrong with a firmware baseline, without setting it", ReqType: YAML,
			OK: ok(FirmwareVerdict{}, "it can be read"), Errors: []int{400, 422},
		},
		{
			Name: "runs.firmware-diff", Tag: "runs", Method: "GET", Path: "/api/v1/runs/{id}/firmware-diff", Scope: Read,
			Summary: "Show how the firmware that the run found differs from that of another, such as the one before it on the host",
			Query:   []Param{{Name: "from", Kind: "string", Summary: "the older run (default the host's run before)"}},
			OK:      ok(FirmwareDiff{}, "the differences"), Errors: []int{404},
		},
		{
			Name: "hosts.firmware", Tag: "hosts", Method: "GET", Path: "/api/v1/hosts/{mac}/firmware", Scope: Read,
			Summary: "Show how the firmware of a host changed from run to run, the newest first", Query: paging(),
			OK: ok(FirmwareHistory{}, "a page of runs; a page may be short and still have a next"), Errors: []int{404, 422},
		},
	}
}
