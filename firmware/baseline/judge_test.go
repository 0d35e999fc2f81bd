package baseline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"vetting/core"
	"vetting/firmware/baseline"
)

// server is a machine with a board, two disks and a port.
func server() *core.FirmwareCase {
	return &core.FirmwareCase{
		Class: "r640-nvme", System: core.System{Manufacturer: "Dell Inc.", Product: "PowerEdge R640"},
		Items: []core.FirmwareItem{
			{Part: core.Part{Kind: "board", Model: "08D89F", Serial: ".3HRT7M2."}, Name: "BIOS", Version: "2.12.2", Date: "2021-07-09"},
			{Part: core.Part{Kind: "cpu", Slot: "CPU0", Model: "Intel Xeon Gold 6130"}, Name: "microcode", Version: "0x2007006"},
			{Part: core.Part{Kind: "disk", Slot: "bay 1", Model: "HP VO0480JFDGT", Serial: "S1"}, Name: "disk", Version: "HPD7"},
			{Part: core.Part{Kind: "disk", Slot: "bay 2", Model: "HP VO0480JFDGT", Serial: "S2"}, Name: "disk", Version: "HPD8"},
			{Part: core.Part{Kind: "nic", Slot: "0000:19:00.0", Model: "Intel X710", Serial: "e4:43:4b:10:22:a0"}, Name: "NIC", Version: "8.15 0x800096ca 20.0.17"},
		},
	}
}

// peers are hosts of the model that passed with these versions of the BIOS.
func peers(versions ...string) (all []core.FirmwareSnapshot) {
	for i, v := range versions {
		all = append(all, core.FirmwareSnapshot{
			HostName: fmt.Sprintf("peer-%d", i), Items: []core.FirmwareItem{{Part: core.Part{Kind: "board", Model: "08D89F"}, Name: "BIOS", Version: v}},
		})
	}

	return all
}

func judge(t *testing.T, c *core.FirmwareCase, rules ...baseline.Rule) core.FirmwareJudgement {
	t.Helper()

	b := &baseline.Baseline{Rules: rules}
	if err := b.Validate(); err != nil {
		t.Fatal(err)
	}

	return baseline.Judge(b, &baseline.Baseline{}, c)
}

// A power supply is held against rules by the revision that it tells, without a name of it.
func TestRulesOfPowerSupplies(t *testing.T) {
	c := &core.FirmwareCase{Items: []core.FirmwareItem{
		{Part: core.Part{Kind: "psu", Slot: "PSU1", Model: "PWS-1K02A-1R", Serial: "P1"}, Name: "PSU", Version: "1.6"},
		{Part: core.Part{Kind: "psu", Slot: "PSU2", Model: "PWS-1K02A-1R", Serial: "P2"}, Name: "PSU", Version: "1.4"},
	}}

	out := judge(t, c, baseline.Rule{ID: "psus", Part: "psu", Model: baseline.Texts{"PWS-1K02A*"}, Min: "1.6", Severity: core.Critical})
	if len(out.Checks) != 2 || out.Checks[0].Verdict != core.Pass || out.Checks[1].Verdict != core.Fail || len(out.Findings) != 1 ||
		out.Findings[0].Code != "firmware/below-minimum" || out.Findings[0].Severity != core.Critical || out.Findings[0].Part.Serial != "P2" {
		t.Errorf("%+v", out)
	}
}

// TestRules holds each kind of rule against a machine that breaks it, and one that does not.
func TestRules(t *testing.T) {
	bios := baseline.Rule{ID: "bios", Part: "board", Name: "BIOS"}
	with := func(change func(r *baseline.Rule)) baseline.Rule {
		r := bios
		change(&r)

		return r
	}

	for name, c := range map[string]struct {
		rule     baseline.Rule
		peers    []core.FirmwareSnapshot
		code     string // empty: nothing is found
		severity core.Severity
		verdict  core.Verdict // of the check
		evidence string
		broken   bool
	}{
		"old enough":             {rule: with(func(r *baseline.Rule) { r.Min = "2.12.2" }), verdict: core.Pass},
		"older than the minimum": {with(func(r *baseline.Rule) { r.Min = "2.19.1" }), nil, "firmware/below-minimum", core.Warning, core.Fail, "BIOS is 2.12.2, older than 2.19.1 (rule bios of the baseline).", false},
		"older, which the rule says is critical": {
			with(func(r *baseline.Rule) { r.Min, r.Severity, r.Why = "2.19.1", core.Critical, "It hangs." }), nil,
			"firmware/below-minimum", core.Critical, core.Fail, "It hangs.", false,
		},
		"no order":                {with(func(r *baseline.Rule) { r.Min = "U30 v2.42" }), nil, "firmware/unordered", core.Warning, core.Unmeasurable, "cannot be put in order", false},
		"no order, and required":  {with(func(r *baseline.Rule) { r.Min, r.Required = "U30 v2.42", true }), nil, "firmware/unordered", core.Critical, core.Error, "cannot be put in order", true},
		"exact":                   {rule: with(func(r *baseline.Rule) { r.Exact = baseline.Texts{"2.10.0", "2.12.2"} }), verdict: core.Pass},
		"not exact":               {with(func(r *baseline.Rule) { r.Exact = baseline.Texts{"2.10.0", "2.13.0"} }), nil, "firmware/not-exact", core.Warning, core.Fail, "not 2.10.0 or 2.13.0", false},
		"not denied":              {rule: with(func(r *baseline.Rule) { r.Deny = baseline.Texts{"2.11.*"} }), verdict: core.Pass},
		"denied":                  {with(func(r *baseline.Rule) { r.Deny = baseline.Texts{"1.*", "2.12.*"} }), nil, "firmware/denied", core.Critical, core.Fail, "2.12.2, which must not be used", false},
		"like the others":         {rule: with(func(r *baseline.Rule) { r.Cohort = 3 }), peers: peers("2.12.2", "2.12.2", "2.13.0"), verdict: core.Pass},
		"not like the others":     {with(func(r *baseline.Rule) { r.Cohort = 3 }), peers("2.13.0", "2.13.0", "2.12.2"), "firmware/off-cohort", core.Warning, core.Fail, "of 3 other hosts of the model that passed, 2 have 2.13.0, 1 have 2.12.2", false},
		"others of many versions": {rule: with(func(r *baseline.Rule) { r.Cohort = 2 }), peers: peers("2.13.0", "2.12.2"), verdict: core.Pass},
		"others of whom no version has most": {
			rule: with(func(r *baseline.Rule) { r.Cohort = 2 }), peers: peers("2.11.0", "2.11.0", "2.12.2", "2.12.2", "2.14.0"), verdict: core.Pass,
		},
		"unlike any of the others": {with(func(r *baseline.Rule) { r.Cohort = 2 }), peers("2.13.0", "2.14.0"), "firmware/off-cohort", core.Warning, core.Fail, "BIOS is 2.12.2", false},
		"too few others":           {rule: with(func(r *baseline.Rule) { r.Cohort = 3 }), peers: peers("2.13.0", "2.13.0"), verdict: core.Unmeasurable},
		"too few others, and required": {
			with(func(r *baseline.Rule) { r.Cohort, r.Required = 3, true }), peers("2.13.0"), "firmware/few-peers", core.Critical, core.Error, "1 other hosts", true,
		},
		"there, as required":     {rule: with(func(r *baseline.Rule) { r.Min, r.Required = "2.12.2", true }), verdict: core.Pass},
		"required and not there": {baseline.Rule{ID: "me", Part: "board", Name: "ME", Min: "4.1", Required: true}, nil, "firmware/not-reported", core.Critical, core.Error, "no version of ME of the board", true},
	} {
		t.Run(name, func(t *testing.T) {
			machine := server()
			machine.Peers = c.peers
			got := judge(t, machine, c.rule)

			if len(got.Checks) != 1 || got.Checks[0].Verdict != c.verdict || got.Broken != c.broken {
				t.Fatalf("%+v", got)
			}

			if c.code == "" {
				if len(got.Findings) > 0 {
					t.Errorf("found %+v", got.Findings)
				}

				return
			}

			if len(got.Findings) != 1 {
				t.Fatalf("found %+v", got.Findings)
			}

			f := got.Findings[0]
			if f.Code != c.code || f.Severity != c.severity || !strings.Contains(f.Evidence, c.evidence) || f.Part.Kind != "board" || f.Next == "" || f.Stage != core.Firmware {
				t.Errorf("found %+v", f)
			}
		})
	}
}

// TestAFindingNamesItsPart: each part that is off has a finding of its own.
func TestAFindingNamesItsPart(t *testing.T) {
	got := judge(t, server(), baseline.Rule{ID: "hpe", Part: "disk", Model: baseline.Texts{"*VO0480*"}, Deny: baseline.Texts{"HPD[0-7]"}, Next: "Update it.", Source: "a00092491"})
	if len(got.Checks) != 2 || len(got.Findings) != 1 {
		t.Fatalf("%+v", got)
	}

	if f := got.Findings[0]; f.Part != (core.Part{Kind: "disk", Slot: "bay 1", Model: "HP VO0480JFDGT", Serial: "S1"}) || f.Next != "Update it." || !strings.HasSuffix(f.Evidence, "a00092491") {
		t.Errorf("%+v", f)
	}
}

// TestARuleIsAboutThePartsOwnFirmware, unless it names another.
func TestARuleIsAboutThePartsOwnFirmware(t *testing.T) {
	machine := server()
	machine.Items = append(machine.Items,
		core.FirmwareItem{Part: core.Part{Kind: "nic", Slot: "0000:19:00.0", Model: "Intel X710"}, Name: "option ROM", Version: "1.1"},
		core.FirmwareItem{Part: core.Part{Kind: "board", Model: "08D89F"}, Name: "ME", Version: "4.1.4.339"})

	for name, c := range map[string]struct {
		rule baseline.Rule
		want string
	}{
		"a port":           {baseline.Rule{ID: "a", Part: "nic", Deny: baseline.Texts{"0"}}, "NIC"},
		"its option ROM":   {baseline.Rule{ID: "a", Part: "nic", Name: "option rom", Deny: baseline.Texts{"0"}}, "option ROM"},
		"all of the board": {baseline.Rule{ID: "a", Part: "board", Name: "*", Deny: baseline.Texts{"0"}}, "BIOS ME"},
		"the board":        {baseline.Rule{ID: "a", Part: "board", Deny: baseline.Texts{"0"}}, "BIOS"},
	} {
		var names []string
		for _, check := range judge(t, machine, c.rule).Checks {
			names = append(names, check.Name)
		}

		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%s: held against %q, want %q", name, got, c.want)
		}
	}
}

// TestTheMostSpecificRuleCounts, and of a deny list every rule.
func TestTheMostSpecificRuleCounts(t *testing.T) {
	rule := func(id string, change func(r *baseline.Rule)) baseline.Rule {
		r := baseline.Rule{ID: id, Part: "board", Name: "BIOS", Min: "2.99"}
		change(&r)

		return r
	}

	for name, c := range map[string]struct {
		rules []baseline.Rule
		want  string // ids of the checks
	}{
		"a class before a system": {[]baseline.Rule{
			rule("system", func(r *baseline.Rule) { r.System = "PowerEdge R640" }), rule("class", func(r *baseline.Rule) { r.Class = "r640*" }),
		}, "class"},
		"a name before a pattern": {[]baseline.Rule{
			rule("pattern", func(r *baseline.Rule) { r.System = "PowerEdge R6*" }), rule("name", func(r *baseline.Rule) { r.System = "poweredge r640" }),
		}, "name"},
		"more letters before fewer": {[]baseline.Rule{
			rule("fewer", func(r *baseline.Rule) { r.System = "Dell*" }), rule("more", func(r *baseline.Rule) { r.System = "Dell Inc. PowerEdge*" }),
		}, "more"},
		"a model before none": {[]baseline.Rule{
			rule("none", func(*baseline.Rule) {}), rule("model", func(r *baseline.Rule) { r.Model = baseline.Texts{"nothing", "08D8*"} }),
		}, "model"},
		"two alike both": {[]baseline.Rule{rule("one", func(*baseline.Rule) {}), rule("two", func(*baseline.Rule) {})}, "one two"},
		"of another kind both": {[]baseline.Rule{
			rule("min", func(*baseline.Rule) {}), rule("exact", func(r *baseline.Rule) { r.Min, r.Exact, r.Class = "", baseline.Texts{"2.12.2"}, "r640-nvme" }),
		}, "min exact"},
		"what is denied stays denied": {[]baseline.Rule{
			rule("all", func(r *baseline.Rule) { r.Min, r.Deny = "", baseline.Texts{"2.12.2"} }),
			rule("class", func(r *baseline.Rule) { r.Min, r.Deny, r.Class = "", baseline.Texts{"9"}, "r640-nvme" }),
		}, "all class"},
		"another class":  {[]baseline.Rule{rule("other", func(r *baseline.Rule) { r.Class = "r740*" })}, ""},
		"another system": {[]baseline.Rule{rule("other", func(r *baseline.Rule) { r.System = "ProLiant*"; r.Required = true })}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []string
			for _, check := range judge(t, server(), c.rules...).Checks {
				ids = append(ids, check.Rule)
			}

			if got := strings.Join(ids, " "); got != c.want {
				t.Errorf("held against %q, want %q", got, c.want)
			}
		})
	}
}

// TestTheCatalogueStandsBesideTheBaseline, until the baseline does without a rule of it.
func TestTheCatalogueStandsBesideTheBaseline(t *testing.T) {
	known := &baseline.Baseline{Rules: []baseline.Rule{{ID: "bad", Part: "disk", Deny: baseline.Texts{"HPD7"}}}}
	operator := &baseline.Baseline{Rules: []baseline.Rule{{ID: "good", Class: "r640-nvme", Part: "disk", Exact: baseline.Texts{"HPD7", "HPD8"}}}}

	got := baseline.Judge(operator, known, server())
	if len(got.Findings) != 1 || got.Findings[0].Code != "firmware/denied" || !strings.Contains(got.Findings[0].Evidence, "rule bad of the catalogue") {
		t.Errorf("%+v", got.Findings)
	}

	operator.Without = baseline.Texts{"bad"}
	if got = baseline.Judge(operator, known, server()); len(got.Findings) != 0 || len(got.Checks) != 2 {
		t.Errorf("without it: %+v", got)
	}
}

// TestWhatIsCriticalIsNeverLeftOut, however much else there is to tell.
func TestWhatIsCriticalIsNeverLeftOut(t *testing.T) {
	c := server()
	c.Items = nil

	for i := range 200 {
		c.Items = append(c.Items, core.FirmwareItem{Part: core.Part{Kind: "disk", Slot: fmt.Sprintf("bay %d", i), Model: "HP VO0480JFDGT"}, Name: "disk", Version: "HPD7"})
	}

	known := &baseline.Baseline{Rules: []baseline.Rule{{ID: "bad", Part: "disk", Deny: baseline.Texts{"HPD7"}}}}
	operator := &baseline.Baseline{Rules: []baseline.Rule{{ID: "old", Part: "disk", Min: "HPD9"}}}

	got := baseline.Judge(operator, known, c)
	if got.Bad != 200 || got.LeftOut == 0 || !slices.ContainsFunc(got.Findings, func(f core.Finding) bool { return f.Severity == core.Critical }) {
		t.Errorf("%d bad, %d left out, %d findings", got.Bad, got.LeftOut, len(got.Findings))
	}
}

// TestVulnerabilities: only what most others of the model are safe from is told.
func TestVulnerabilities(t *testing.T) {
	setting := func(value string) []core.FirmwareSetting {
		return []core.FirmwareSetting{{Part: core.Part{Kind: "cpu"}, Group: "vulnerability", Name: "mds", Value: value}}
	}
	machine := func(own string, others ...string) *core.FirmwareCase {
		c := &core.FirmwareCase{Settings: setting(own)}
		for _, other := range others {
			c.Peers = append(c.Peers, core.FirmwareSnapshot{Settings: setting(other)})
		}

		return c
	}

	const (
		bad  = "Vulnerable: Clear CPU buffers attempted, no microcode; SMT vulnerable"
		good = "Mitigation: Clear CPU buffers; SMT vulnerable"
	)

	for name, c := range map[string]struct {
		of   *core.FirmwareCase
		want int
	}{
		"most others are safe": {machine(bad, good, good, bad), 1},
		"it is safe itself":    {machine(good, bad, bad, bad), 0},
		"all are alike":        {machine(bad, bad, bad, bad), 0},
		"too few others":       {machine(bad, good, good), 0},
		"half of them":         {machine(bad, good, good, bad, bad), 0},
	} {
		got := judge(t, c.of)
		if len(got.Findings) != c.want || c.want == 1 && (got.Findings[0].Code != "firmware/vulnerable" || !strings.Contains(got.Findings[0].Evidence, "2 of 3")) {
			t.Errorf("%s: %+v", name, got.Findings)
		}
	}
}

// TestFaults: what makes no sense is named with the path of its field.
func TestFaults(t *testing.T) {
	ok := baseline.Rule{ID: "a", Part: "disk", Min: "1"}
	with := func(change func(r *baseline.Rule)) []baseline.Rule {
		r := ok
		change(&r)

		return []baseline.Rule{r}
	}

	for name, c := range map[string]struct {
		rules []baseline.Rule
		want  string
	}{
		"no id":             {with(func(r *baseline.Rule) { r.ID = "" }), "rules[0].id: "},
		"an id of capitals": {with(func(r *baseline.Rule) { r.ID = "A b" }), "rules[0].id: "},
		"an id twice":       {[]baseline.Rule{ok, ok}, "rules[1].id: \"a\" is used twice"},
		"no part":           {with(func(r *baseline.Rule) { r.Part = "" }), "rules[0].part: "},
		"an unknown part":   {with(func(r *baseline.Rule) { r.Part = "dsik" }), "choose one of board, bmc"},
		"nothing to hold":   {with(func(r *baseline.Rule) { r.Min = "" }), "rules[0]: it has 0 of"},
		"two to hold":       {with(func(r *baseline.Rule) { r.Cohort = 3 }), "rules[0]: it has 2 of"},
		"a cohort of one":   {with(func(r *baseline.Rule) { r.Min, r.Cohort = "", 1 }), "rules[0].cohort: 1 hosts"},
		"a severity":        {with(func(r *baseline.Rule) { r.Severity = "fatal" }), "rules[0].severity: "},
		"a pattern":         {with(func(r *baseline.Rule) { r.Model = baseline.Texts{"[SAS"} }), "rules[0].model: "},
		"a denied pattern":  {with(func(r *baseline.Rule) { r.Min, r.Deny = "", baseline.Texts{"HPD[0-"} }), "rules[0].deny: "},
		"an empty one":      {with(func(r *baseline.Rule) { r.Min, r.Exact = "", baseline.Texts{"1", ""} }), "rules[0].exact: one of them is empty"},
		"a long reason":     {with(func(r *baseline.Rule) { r.Why = strings.Repeat("w", 2000) }), "rules[0].why: "},
		"too many rules":    {make([]baseline.Rule, 1001), "rules: 1001 are too many"},
	} {
		b := baseline.Baseline{Rules: c.rules}
		if err := b.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
