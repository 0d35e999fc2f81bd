package profile_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"vetting/core"
	"vetting/core/profile"
)

var update = flag.Bool("update", false, "rewrite the tables of docs/test-suite.md")

// The marks around what is made from the program in docs/test-suite.md.
const (
	begins = "<!-- profiles begin -->\n"
	ends   = "<!-- profiles end -->\n"
)

func TestTheShippedProfilesAreTheDocumentedOnes(t *testing.T) {
	if err := profile.CheckAll(profile.Defaults()); err != nil {
		t.Fatal(err)
	}

	const page = "../../docs/test-suite.md"

	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}

	before, rest, ok := strings.Cut(string(raw), begins)
	documented, after, found := strings.Cut(rest, ends)

	if !ok || !found {
		t.Fatalf("%s has no place for the profiles", page)
	}

	shipped := "\n" + profile.Markdown() + "\n" + rulesOf(profile.Defaults()[0]) + "\n"

	if *update {
		if err := os.WriteFile(page, []byte(before+begins+shipped+ends+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if documented != shipped {
		t.Errorf("%s does not show the profiles as they are (-update rewrites it); want\n%s", page, shipped)
	}
}

// rulesOf prints the limits of a profile.
func rulesOf(p core.Profile) string {
	var b strings.Builder

	b.WriteString("| rule | stage | what | must be | for | else | code |\n|---|---|---|---|---|---|---|\n")

	for _, r := range p.Rules {
		code := r.Code
		if code == "" {
			code = "threshold/breach"
		}

		of := ""
		if r.Of != "" {
			of = " % of " + r.Of
		}

		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s %v%s | %v | %s | `%s` |\n",
			r.ID, strings.ReplaceAll(r.Stage, "*", "all"), r.Key, r.Op, r.Value, of, r.For, r.Severity, code)
	}

	return b.String()
}

func TestTheShippedProfilesDifferInTheirSettingsAlone(t *testing.T) {
	all := profile.Defaults()

	var names []string

	for _, p := range all {
		names = append(names, p.Name)

		if !slices.Equal(p.Stages, profile.Available()) || len(p.Rules) != len(all[0].Rules) || len(p.Config) != len(all[0].Config) || p.Scale != 1 {
			t.Errorf("%s: %+v", p.Name, p)
		}

		for _, stage := range p.Stages {
			configured := slices.ContainsFunc(slices.Collect(maps.Keys(p.Config)), func(key string) bool { return strings.HasPrefix(key, string(stage)+".") })
			if slices.Contains([]core.StageName{core.SMART, core.CPUStress, core.Memory, core.Storage, core.Network, core.Burn, core.PSU}, stage) && !configured {
				t.Errorf("%s says nothing about %s", p.Name, stage)
			}
		}
	}

	if !slices.Equal(names, []string{"quick", "deep", "soak"}) {
		t.Errorf("profiles %v", names)
	}
}

func TestWhatTheKernelIsTold(t *testing.T) {
	for name, want := range map[string]string{"quick": "", "deep": "memtest=1", "soak": "memtest=4"} {
		for _, p := range profile.Defaults() {
			if got := profile.KernelArguments(p); p.Name == name && got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
	}

	if got := profile.KernelArguments(core.Profile{}); got != "" {
		t.Errorf("a profile that says nothing: %q", got)
	}
}

func TestDefaultsAreNotShared(t *testing.T) {
	a := profile.Defaults()
	a[0].Stages[0], a[0].Rules[0].Value = core.Burn, -1
	a[0].Config[profile.SelfTest] = "none"

	if b := profile.Defaults(); b[0].Stages[0] == core.Burn || b[0].Rules[0].Value < 0 || b[0].Config[profile.SelfTest] == "none" {
		t.Error("who changes one copy changes all")
	}
}

func TestSettingsThatAreFine(t *testing.T) {
	for key, values := range map[string][]string{
		profile.MemoryPatterns: {"short", "full"}, profile.MemoryPasses: {"1", "1000"}, profile.MemoryDuration: {"0s", "90s", "12h", "168h"},
		profile.StorageProtect: {"", "S 9,5000c500a0000001", "naa.5000C500A0000001 0x5000c500a0000002", strings.Repeat("A", 1024)},
		profile.MemoryFloor:    {"0", "92", "100"}, profile.MemoryLimit: {"0", "1024"},
	} {
		for _, value := range values {
			p := profile.Defaults()[0]
			p.Config[key] = value

			if err := profile.Check(p); err != nil {
				t.Errorf("%s = %s: %v", key, value, err)
			}
		}
	}
}

func TestProfilesThatCannotBeRunAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*core.Profile)
		word   string
	}{
		"no name":              {func(p *core.Profile) { p.Name = "" }, "name"},
		"a name with a blank":  {func(p *core.Profile) { p.Name = "a b" }, "name"},
		"no scale":             {func(p *core.Profile) { p.Scale = 0 }, "scale"},
		"a scale above one":    {func(p *core.Profile) { p.Scale = 2 }, "scale"},
		"no stages":            {func(p *core.Profile) { p.Stages = nil }, "first stage"},
		"no inventory":         {func(p *core.Profile) { p.Stages = p.Stages[1:] }, "first stage"},
		"no report":            {func(p *core.Profile) { p.Stages = p.Stages[:4] }, "last stage"},
		"a misspelt stage":     {func(p *core.Profile) { p.Stages[1] = "firmware" }, "not a stage"},
		"out of order":         {func(p *core.Profile) { slices.Reverse(p.Stages[1:4]) }, "out of order"},
		"twice":                {func(p *core.Profile) { p.Stages[2] = core.Firmware }, "twice"},
		"a misspelt setting":   {func(p *core.Profile) { p.Config["SMART.selftest"] = "short" }, "does not exist"},
		"an unknown value":     {func(p *core.Profile) { p.Config[profile.SelfTest] = "long" }, "one of"},
		"no duration":          {func(p *core.Profile) { p.Config[profile.MemoryDuration] = "12" }, "a duration like"},
		"too long":             {func(p *core.Profile) { p.Config[profile.MemoryRetention] = "2h" }, "at most 1h0m0s"},
		"no number":            {func(p *core.Profile) { p.Config[profile.MemoryPasses] = "many" }, "a whole number"},
		"a number too small":   {func(p *core.Profile) { p.Config[profile.MemoryPasses] = "0" }, "from 1 to 1000"},
		"a number with a sign": {func(p *core.Profile) { p.Config[profile.MemoryPasses] = "+3" }, "a whole number"},
		"a path for a disk":    {func(p *core.Profile) { p.Config[profile.StorageProtect] = "/dev/sda" }, "serial numbers and WWNs"},
		"another separator":    {func(p *core.Profile) { p.Config[profile.StorageProtect] = "S1;S2" }, "serial numbers and WWNs"},
		"a list of two lines":  {func(p *core.Profile) { p.Config[profile.StorageProtect] = "S1\nS2" }, "serial numbers and WWNs"},
		"a list without end":   {func(p *core.Profile) { p.Config[profile.StorageProtect] = strings.Repeat("A", 1025) }, "serial numbers and WWNs"},
		"a bad rule":           {func(p *core.Profile) { p.Rules[0].Key = "x" }, "sample key"},
	} {
		p := profile.Defaults()[0]
		c.change(&p)

		if err := profile.Check(p); err == nil || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", name, err)
		}
	}

	if err := profile.CheckAll(append(profile.Defaults(), profile.Defaults()[0])); err == nil {
		t.Error("two of one name")
	}
}
