package profile

import (
	"maps"
	"slices"
	"strings"

	"vetting/core"
)

// tiers are the profiles that come with the product, from the shortest to the
// longest.
type tiers struct{ quick, deep, soak string }

// row is one setting in each of the tiers.
type row struct {
	key string
	tiers
}

// plans are the settings of all stages in all tiers, as docs/test-suite.md has them.
func plans() []row {
	return slices.Concat(
		smartPlan(),
		cpuPlan(),
		memoryPlan(),
		storagePlan(),
		networkPlan(),
		burnPlan(),
		gpuPlan(),
		psuPlan(),
	)
}

func smartPlan() []row {
	return []row{
		{SelfTest, tiers{"short", "extended", "extended"}},
		{SelfTestAgain, tiers{"no", "no", "after-burn"}},
		{Policy, tiers{"new", "new", "new"}},
	}
}

func cpuPlan() []row {
	return []row{
		{CPUDuration, tiers{"5m", "60m", "4h"}},
	}
}

// Defaults returns the profiles that come with the product. Each holds just the
// stages that this version has; none of them arms a disk, and without that nothing is
// written.
func Defaults() []core.Profile {
	shipped := func(name, description string, of func(tiers) string) core.Profile {
		p := core.Profile{
			Name: name, Description: description, Scale: 1, Stages: Available(), Rules: rules(), Config: map[string]string{},
		}

		for _, r := range plans() {
			p.Config[r.key] = of(r.tiers)
		}

		return p
	}

	return []core.Profile{
		shipped("quick", "Every part is looked at and put to work for some minutes: is this machine sound enough to go on?",
			func(t tiers) string { return t.quick }),
		shipped("deep", "Hours of work for CPU and memory in all patterns: what a machine should go through before production.",
			func(t tiers) string { return t.deep }),
		shipped("soak", "Two to three days: for machines that fail once a day, or after a repair.",
			func(t tiers) string { return t.soak }),
	}
}

// rules are the limits that every profile has.
func rules() []core.Rule {
	return slices.Concat(diskRules(), CPURules(), MemoryRules(), StorageRules(), sensorRules())
}

// Markdown prints the settings of the shipped profiles as a table.
func Markdown() string {
	var b strings.Builder

	b.WriteString("| setting | quick | deep | soak |\n|---|---|---|---|\n")

	for _, r := range plans() {
		b.WriteString("| `" + r.key + "` | " + r.quick + " | " + r.deep + " | " + r.soak + " |\n")
	}

	return b.String()
}

// settings lists the configuration keys that exist, and what they may say.
func settings() map[string]setting {
	all := map[string]setting{SelfTest: oneOf("short", "extended", "none"), Policy: oneOf("new", "used"), SelfTestAgain: oneOf("no", "after-burn")}

	for _, of := range []map[string]setting{cpuSettings(), memorySettings(), storageSettings(), networkSettings(), burnSettings(), gpuSettings(), psuSettings(), overlaySettings(), afterSettings()} {
		maps.Copy(all, of)
	}

	return all
}
