package baseline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vetting/core"
	"vetting/core/problem"
)

// Bounds of what one run keeps.
const (
	maxChecks   = 2048
	maxFindings = 128
)

// The texts that rules come from, as core.FirmwareCheck has them.
const (
	FromBaseline  = "baseline"
	FromCatalogue = "catalogue"
)

// Judge holds what a run found against the operator's rules and those of the
// appliance's catalogue; both are valid. Of rules of one text and kind that match the
// same firmware the most specific counts (class, then system, model and name), and all
// that are equally specific. Rules of the two texts do not replace each other: what
// the catalogue denies is denied until the operator's text does without the rule.
func Judge(operator, catalogue *Baseline, c *core.FirmwareCase) core.FirmwareJudgement {
	j := judge{c: c}

	known := &Baseline{Rules: slices.Clone(catalogue.Rules)}
	known.Rules = slices.DeleteFunc(known.Rules, func(r Rule) bool { return slices.Contains(operator.Without, r.ID) })

	j.hold(FromBaseline, operator)
	j.hold(FromCatalogue, known)
	j.vulnerabilities()

	return j.out
}

// judge is a judgement in the making.
type judge struct {
	c   *core.FirmwareCase
	out core.FirmwareJudgement
}

// hold holds the rules of one text against everything.
func (j *judge) hold(from string, b *Baseline) {
	met := make([]bool, len(b.Rules))

	var ours []int // rules for this host

	for n := range b.Rules {
		if j.ours(&b.Rules[n]) {
			ours = append(ours, n)
		}
	}

	for i := range j.c.Items {
		item := &j.c.Items[i]
		best := map[string]specificity{}

		var matching []int

		for _, n := range ours {
			r := &b.Rules[n]

			model, ok := match(r, item)
			if !ok {
				continue
			}

			met[n] = true
			matching = append(matching, n)

			if s := specific(r, model); best[r.kind()].compare(s) <= 0 {
				best[r.kind()] = s
			}
		}

		for _, n := range matching {
			r := &b.Rules[n]

			model, _ := match(r, item)
			if r.kind() == kindDeny || best[r.kind()].compare(specific(r, model)) == 0 {
				j.apply(from, r, item)
			}
		}
	}

	for _, n := range ours {
		if r := &b.Rules[n]; r.Required && !met[n] {
			j.missing(from, r)
		}
	}
}

// ours reports whether a rule is for this host.
func (j *judge) ours(r *Rule) bool {
	s := &j.c.System

	return matches(r.Class, j.c.Class) && (matches(r.System, s.Product) || matches(r.System, Model(s)))
}

// match reports whether a rule that is for the host is about this item, and by which
// pattern of models.
func match(r *Rule, item *core.FirmwareItem) (model string, ok bool) {
	if r.Part != item.Part.Kind || !matches(cmp.Or(r.Name, ownName(r.Part)), item.Name) {
		return "", false
	}

	if len(r.Model) == 0 {
		return "", true
	}

	i := slices.IndexFunc(r.Model, func(pattern string) bool { return matches(pattern, item.Part.Model) })
	if i < 0 {
		return "", false
	}

	return r.Model[i], true
}

// ownName is how the firmware of the part itself is called, beside which it may have
// more, such as an option ROM; empty: it has but one.
func ownName(kind string) string {
	return map[string]string{
		"board": "BIOS", "bmc": "BMC", "cpu": "microcode", "disk": "disk", "gpu": "vBIOS", "hba": "HBA", "nic": "NIC", "psu": "PSU", "tpm": "TPM",
	}[kind]
}

// Model names a machine by manufacturer and product, empty where it tells no product:
// hosts of the same name are of the same model.
func Model(s *core.System) string {
	if s.Product == "" {
		return ""
	}

	return strings.TrimSpace(s.Manufacturer + " " + s.Product)
}

// specificity ranks a rule: class, system, model, name, each one more than what it fixes.
type specificity [4]int

func specific(r *Rule, model string) specificity {
	return specificity{fixed(r.Class) + 1, fixed(r.System) + 1, fixed(model) + 1, fixed(r.Name) + 1}
}

func (s specificity) compare(other specificity) int { return slices.Compare(s[:], other[:]) }

// apply judges one item by one rule.
func (j *judge) apply(from string, r *Rule, item *core.FirmwareItem) {
	check := core.FirmwareCheck{
		Rule: r.ID, From: from, Kind: r.kind(), Part: item.Part, Name: item.Name, Version: item.Version, Want: r.Want(), Verdict: core.Pass,
	}
	code, evidence := "", ""

	switch r.kind() {
	case kindExact:
		if !slices.ContainsFunc(r.Exact, func(want string) bool { return equal(want, item.Version) }) {
			code, evidence = problem.FirmwareNotExact, fmt.Sprintf("%s is %s, not %s", item.Name, item.Version, r.Want())
		}
	case kindMin:
		order, ok := Compare(item.Version, string(r.Min))

		switch {
		case !ok:
			code, evidence = problem.FirmwareUnordered, fmt.Sprintf("%s is %s, which cannot be put in order with %s", item.Name, item.Version, string(r.Min))
		case order < 0:
			code, evidence = problem.FirmwareBelowMinimum, fmt.Sprintf("%s is %s, older than %s", item.Name, item.Version, string(r.Min))
		}
	case kindDeny:
		if i := slices.IndexFunc(r.Deny, func(bad string) bool { return matches(bad, item.Version) || equal(bad, item.Version) }); i >= 0 {
			code, evidence = problem.FirmwareDenied, fmt.Sprintf("%s is %s, which must not be used", item.Name, item.Version)
		}
	case kindCohort:
		code, evidence = j.cohort(r, item, &check)
	}

	j.close(r, check, code, evidence)
}

func equal(a, b string) bool {
	order, ok := Compare(a, b)

	return ok && order == 0
}

// close puts a check down, with its finding where there is one.
func (j *judge) close(r *Rule, check core.FirmwareCheck, code, evidence string) {
	severity := r.Else()

	switch code {
	case "":
	case problem.FirmwareUnordered:
		check.Verdict, check.Note, severity = core.Unmeasurable, evidence, core.Warning
	case problem.FirmwareFewPeers:
		check.Verdict, check.Note = core.Unmeasurable, evidence
	default:
		check.Verdict = core.Fail
	}

	if check.Verdict == core.Unmeasurable && r.Required {
		check.Verdict, severity, j.out.Broken = core.Error, core.Critical, true
	}

	if code == problem.FirmwareFewPeers && !r.Required {
		code = "" // the first hosts of a model have nobody to be like
	}

	if check.Verdict == core.Fail && severity == core.Critical {
		j.out.Bad++
	}

	if code != "" {
		check.Severity = severity
		j.find(r, check.From, code, severity, check.Part, evidence)
	}

	if len(j.out.Checks) < maxChecks {
		j.out.Checks = append(j.out.Checks, check)
	}
}

// find makes a finding in the words of the rule.
func (j *judge) find(r *Rule, from, code string, severity core.Severity, part core.Part, evidence string) {
	if len(j.out.Findings) >= maxFindings {
		j.out.LeftOut++

		// What is critical takes the place of something that is not.
		minor := slices.IndexFunc(j.out.Findings, func(f core.Finding) bool { return f.Severity != core.Critical })
		if severity != core.Critical || minor < 0 {
			return
		}

		j.out.Findings = slices.Delete(j.out.Findings, minor, minor+1)
	}

	evidence += fmt.Sprintf(" (rule %s of the %s).", r.ID, from)

	for _, more := range []string{r.Why, r.Source} {
		if more != "" {
			evidence += " " + more
		}
	}

	f := problem.Finding(code, severity, core.Firmware, part, evidence)
	f.Next, f.Subject = cmp.Or(r.Next, f.Next), r.ID
	j.out.Findings = append(j.out.Findings, f)
}

// missing: firmware that must be there is not.
func (j *judge) missing(from string, r *Rule) {
	part := core.Part{Kind: r.Part}
	if len(r.Model) > 0 {
		part.Model = r.Model[0]
	}

	j.out.Broken = true
	j.out.Checks = append(j.out.Checks, core.FirmwareCheck{
		Rule: r.ID, From: from, Kind: r.kind(), Part: part, Want: r.Want(), Verdict: core.Error, Severity: core.Critical, Note: "the machine tells of no such firmware",
	})

	what := "the " + r.Part
	if name := cmp.Or(r.Name, ownName(r.Part)); name != "" {
		what = name + " of " + what
	}

	j.find(r, from, problem.FirmwareNotReported, core.Critical, part, "the machine tells no version of "+what)
}

// cohort compares an item with what hosts of the same model have that passed. A
// version that most of them have is the one; where none is, any that one of them has
// will do.
func (j *judge) cohort(r *Rule, item *core.FirmwareItem, check *core.FirmwareCheck) (code, evidence string) {
	hosts, counts := 0, []tally{}

	for i := range j.c.Peers {
		versions := versionsOf(&j.c.Peers[i], item)
		if len(versions) == 0 {
			continue
		}

		hosts++

		for _, v := range versions {
			counts = add(counts, v)
		}
	}

	if hosts < r.Cohort {
		return problem.FirmwareFewPeers, fmt.Sprintf("%s is %s; %d other hosts of the model that passed have this part, %d are needed", item.Name, item.Version, hosts, r.Cohort)
	}

	slices.SortStableFunc(counts, func(a, b tally) int {
		return cmp.Or(cmp.Compare(b.hosts, a.hosts), strings.Compare(a.version, b.version))
	})

	good := counts
	if counts[0].hosts*2 > hosts {
		good = counts[:1]
	}

	check.Note = spread(counts, hosts)

	if slices.ContainsFunc(good, func(t tally) bool { return equal(t.version, item.Version) }) {
		return "", ""
	}

	return problem.FirmwareOffCohort, fmt.Sprintf("%s is %s; %s", item.Name, item.Version, check.Note)
}

// tally counts the hosts that have a version.
type tally struct {
	version string
	hosts   int
}

func add(counts []tally, version string) []tally {
	i := slices.IndexFunc(counts, func(t tally) bool { return equal(t.version, version) })
	if i < 0 {
		return append(counts, tally{version, 1})
	}

	counts[i].hosts++

	return counts
}

// versionsOf lists the versions, each once, that a host has of the firmware that item is.
func versionsOf(peer *core.FirmwareSnapshot, item *core.FirmwareItem) (versions []string) {
	for i := range peer.Items {
		other := &peer.Items[i]
		if other.Part.Kind == item.Part.Kind && other.Part.Model == item.Part.Model && other.Name == item.Name &&
			!slices.ContainsFunc(versions, func(v string) bool { return equal(v, other.Version) }) {
			versions = append(versions, other.Version)
		}
	}

	return versions
}

func spread(counts []tally, hosts int) string {
	const most = 5

	words := []string{}
	for _, t := range counts[:min(len(counts), most)] {
		words = append(words, fmt.Sprintf("%d have %s", t.hosts, t.version))
	}

	if left := len(counts) - most; left > 0 {
		words = append(words, fmt.Sprintf("and there are %d versions more", left))
	}

	return fmt.Sprintf("of %d other hosts of the model that passed, %s", hosts, strings.Join(words, ", "))
}

// enoughPeers is how many hosts it takes to say that one is not like them.
const enoughPeers = 3

// vulnerabilities: what the kernel calls vulnerable here, and not on most hosts of the
// model, is for firmware or settings to mend: kernel and image are the same for all.
func (j *judge) vulnerabilities() {
	bad := func(s *core.FirmwareSetting) bool { return strings.HasPrefix(s.Value, "Vulnerable") }

	for i := range j.c.Settings {
		own := &j.c.Settings[i]
		if own.Group != "vulnerability" || !bad(own) {
			continue
		}

		hosts, safe := 0, 0

		for p := range j.c.Peers {
			settings := j.c.Peers[p].Settings

			n := slices.IndexFunc(settings, func(s core.FirmwareSetting) bool { return s.Group == own.Group && s.Name == own.Name })
			if n < 0 {
				continue
			}

			hosts++

			if !bad(&settings[n]) {
				safe++
			}
		}

		if hosts >= enoughPeers && safe*2 > hosts && len(j.out.Findings) < maxFindings {
			j.out.Findings = append(j.out.Findings, problem.Finding(problem.FirmwareVulnerable, "", core.Firmware, own.Part,
				fmt.Sprintf("%s: %s; %d of %d other hosts of the model that passed are not vulnerable", own.Name, own.Value, safe, hosts)))
		}
	}
}
