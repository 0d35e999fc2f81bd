// Package profile holds the profiles that come with the product, and the checks
// that any profile must pass before runs may use it.
package profile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"vetting/core"
	"vetting/core/threshold"
)

// The configuration keys.
const (
	SelfTest = "SMART.self_test" // of the disks: "short", "extended" or "none"
	Policy   = "SMART.policy"    // what disks may look like: "new" or "used"
	// SelfTestAgain says when disks test themselves once more: "no", or "after-burn".
	SelfTestAgain = "SMART.again"
)

// diskRules are the limits that hold for any drive. What a model says of itself counts
// before: WCTEMP and CCTEMP of NVMe, the limits of SCT, and for drives that tell none 70
// and 85 °C (agent/sensor); SMART, which knows whether a drive turns, has its own. The further
// thermometers of NVMe drives (the kernel names them "Sensor 1" to "Sensor 8") sit where
// the maker put them, mostly on the controller, which is a chip and not the flash: at
// work it is at 90 °C in drives that are well, and the drive's own limits are not of it
// (NVM Express Base Specification, SMART log, Temperature Sensor 1 to 8).
func diskRules() []core.Rule {
	const temperature, spot = "disk/*/temperature_celsius", "disk/*-sensor-*/temperature_celsius"

	return []core.Rule{
		{ID: "disk-hot", Stage: "*", Key: temperature, Op: core.OpLT, Value: 85, Severity: core.Warning},
		{ID: "disk-too-hot", Stage: "*", Key: temperature, Op: core.OpLT, Value: 100, Severity: core.Critical},
		{ID: "disk-spot-hot", Stage: "*", Key: spot, Op: core.OpLT, Value: 95, Severity: core.Warning},
		{ID: "disk-spot-too-hot", Stage: "*", Key: spot, Op: core.OpLT, Value: 105, Severity: core.Critical},
	}
}

// Available returns the stages that this version has, in the order of the
// pipeline.
func Available() []core.StageName {
	return []core.StageName{
		core.InventoryCheck,
		core.Firmware,
		core.SpecValidate,
		core.SMART,
		core.CPUStress,
		core.Memory,
		core.Storage,
		core.Network,
		core.Burn,
		core.GPU,
		core.PSU,
		core.Reporting,
	}
}

// Check refuses a profile that could not be run as it says. All faults are
// joined, each a *core.Problem that names the profile.
func Check(p core.Profile) error {
	return check(p, Available())
}

func check(p core.Profile, available []core.StageName) error {
	c := &checker{of: fmt.Sprintf("Profile %.64q", p.Name), available: available}
	c.whole(&p)

	if err := threshold.Check(p.Rules); err != nil {
		c.errs = append(c.errs, err)
	}

	return errors.Join(c.errs...)
}

// CheckAll checks each profile, and that no two have one name. Without stages
// given, those that this version has are the ones that exist.
func CheckAll(profiles []core.Profile, available ...core.StageName) error {
	if len(available) == 0 {
		available = Available()
	}

	var errs []error

	seen := map[string]bool{}

	for _, p := range profiles {
		c := &checker{of: fmt.Sprintf("Profile %.64q", p.Name)}
		c.say(seen[p.Name], "there are two profiles of this name")
		seen[p.Name] = true

		errs = append(errs, c.errs...)
		errs = append(errs, check(p, available))
	}

	return errors.Join(errs...)
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

type checker struct {
	of        string // what is being checked: "Profile \"quick\""
	available []core.StageName
	place     []string // of what is looked at, in the text that it comes from
	errs      []error
	places    [][]string // of each error
}

func (c *checker) say(bad bool, format string, args ...any) {
	if bad {
		c.errs = append(c.errs, core.NewProblem(core.ErrInvalid, "profile/invalid", fmt.Sprintf("%s: %s.", c.of, fmt.Sprintf(format, args...))))
		c.places = append(c.places, c.place)
	}
}

// at names the place of what is looked at next.
func (c *checker) at(place ...string) *checker {
	c.place = place

	return c
}

// whole looks at everything but the rules.
func (c *checker) whole(p *core.Profile) {
	c.at().say(p.Name == "" || len(p.Name) > 64 || strings.Trim(p.Name, nameLetters) != "",
		"the name must be 1 to 64 letters, digits, - or _")
	c.at("scale").say(!(p.Scale > 0 && p.Scale <= 1), "scale %v must be above 0 and at most 1", p.Scale)
	c.at("description").say(len(p.Description) > 1024, "the description is longer than 1024 bytes")
	c.stages(p.Stages)
	c.config(p.Config)
	c.at()
}

// stages demands stages that exist, each once, in the order of the pipeline,
// with the inventory first, since the others need it, and the report last.
func (c *checker) stages(stages []core.StageName) {
	pipeline, available := core.Pipeline(), c.available
	last := -1

	for n, s := range stages {
		i := slices.Index(pipeline, s)
		c.at("stages", strconv.Itoa(n))

		switch {
		case i < 0:
			c.say(true, "%.40q is not a stage; the stages are %s", s, names(pipeline))
		case !slices.Contains(available, s):
			c.say(true, "stage %s is not in this version; it has %s", s, names(available))
		case i <= last:
			c.say(true, "stage %s is out of order or listed twice; the order is %s", s, names(pipeline))
		}

		last = max(last, i)
	}

	c.at("stages").say(len(stages) == 0 || stages[0] != core.InventoryCheck, "the first stage must be %s", core.InventoryCheck)
	c.say(len(stages) == 0 || stages[len(stages)-1] != core.Reporting, "the last stage must be %s", core.Reporting)
}

func (c *checker) config(config map[string]string) {
	known := settings()

	for _, key := range slices.Sorted(maps.Keys(config)) {
		may, ok := known[key]
		c.at("config", key).say(!ok, "setting %.64q does not exist; the settings are %s", key, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		c.say(ok && !may.fits(config[key]), "setting %s is %.40q and must be %s", key, config[key], may.like)
	}
}

func names(stages []core.StageName) string {
	words := make([]string, len(stages))
	for i, s := range stages {
		words[i] = string(s)
	}

	return strings.Join(words, ", ")
}
