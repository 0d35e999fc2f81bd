// Package bootdoctor reads the trace of a machine's boots and says in words where the last
// one came to a standstill, and why. It is pure: what it says follows from the steps and
// the time alone.
package bootdoctor

import (
	"fmt"
	"strings"
	"time"

	"vetting/core"
	"vetting/core/problem"
)

// Diagnosis is what is in the way of a boot.
type Diagnosis struct {
	Code     string    `json:"code"`
	Title    string    `json:"title"`
	Evidence string    `json:"evidence"`
	Next     string    `json:"next"`
	Step     string    `json:"step,omitempty"` // kind of the step that was the last one to succeed; empty: none was seen
	Since    time.Time `json:"since"`          // when that was
}

// How long a machine may take from one step to the next before something is wrong: as long
// as slow, sound machines do, and longer.
const (
	powerTime  = 3 * time.Minute  // from power to the first question: memory of servers is trained meanwhile
	fetchTime  = 15 * time.Second // from an address to the first file
	loaderTime = 60 * time.Second // from the boot program's last byte to its first word
	scriptTime = 30 * time.Second
	imageTime  = 45 * time.Second // between two quarters of a file
	agentTime  = 3 * time.Minute  // from the image's last byte to the agent's first word
	refusal    = 20 * time.Second // firmware that refuses a program goes on within
	giveUp     = 60 * time.Second // after its last question
)

const manyQuestions = 4 // for an address, without a choice: three are usual while links come up

// visit is the last boot as far as the steps tell.
type visit struct {
	powered, asked, chosen, fetched, loaded, spoke, addressed, scripted, moved, complete time.Time

	questions, unheard int // of the firmware and of the boot program, since they last took an address
	probes, broken     int
	share              map[string]int // of the image's files
	file               string         // of the image, that moved last
	kinds              map[core.ClientKind]bool
	loader             string
	started            bool // it has asked for a script beside itself
	after              bool // the firmware asked again right after the boot program was sent

	home, own, over, rival bool
	failed, refused, full  string
	rivalSays              string
	processor              string // other than the image's
	last                   core.BootStep
}

// Diagnose says what is in the way of the last boot of a trace, oldest step first; ok is
// false where nothing is, or nothing is known yet.
func Diagnose(steps []core.BootStep, now time.Time) (d Diagnosis, ok bool) {
	v := newVisit()
	for i := range steps {
		if v.begins(&steps[i]) {
			powered := v.powered
			v = newVisit()

			if steps[i].Kind != "power" && !powered.IsZero() && steps[i].Time.Sub(powered) < powerTime {
				v.powered = powered
			}
		}

		v.take(&steps[i])
	}

	code, evidence := v.cause(now)
	if code == "" {
		return d, false
	}

	f := problem.Finding(code, "", "", core.Part{}, evidence)

	return Diagnosis{Code: code, Title: f.Title, Evidence: f.Evidence, Next: f.Next, Step: v.last.Kind, Since: v.last.Time}, true
}

func newVisit() *visit {
	return &visit{share: map[string]int{}, kinds: map[core.ClientKind]bool{}}
}

// begins reports whether a step is the first of another boot: somebody switched the
// machine, or its firmware asks again after it had got further.
func (v *visit) begins(s *core.BootStep) bool {
	switch {
	case s.Kind == "power":
		return s.Code == "" && s.Op != core.PowerOff
	case s.Kind != "discover" || !firmware(s.Client.Kind):
		return false
	}

	return v.over || v.home || v.own || !v.scripted.IsZero() || !v.spoke.IsZero()
}

func firmware(k core.ClientKind) bool {
	return k == core.ClientBIOS || k == core.ClientUEFI || k == core.ClientHTTP
}

// take takes a step in.
func (v *visit) take(s *core.BootStep) {
	known := true

	switch s.Kind {
	case "power":
		if s.Code == "" && s.Op != core.PowerOff {
			v.powered = s.Time
		}
	case "discover":
		v.question(s)
	case "request", "ack":
		v.choice(s)
	case "rogue":
		v.rival, v.rivalSays = true, s.Detail
	case "pool-empty":
		v.full = s.Detail
	default:
		known = v.files(s)
	}

	if known {
		v.last = *s
	}
}

// files takes in a step that is about a file, or about what comes of it.
func (v *visit) files(s *core.BootStep) (known bool) {
	switch s.Kind {
	case "tftp-probe":
		v.probes++
	case "tftp-failed":
		v.broken++
		v.failed = s.Detail
	case "tftp-missing", "http-missing": // loaders look for files of their own that nobody has
		v.home, v.fetched = v.home || strings.HasSuffix(s.Detail, core.NoBoot), s.Time
	case "tftp", "loader":
		v.boots(s)
	case "parked": // we have told it to wait
		v.addressed, v.spoke = s.Time, s.Time
	case "script":
		v.scripted, v.spoke = s.Time, s.Time
		v.home = strings.HasPrefix(s.Detail, "local")
	case "kernel", "initrd":
		v.piece(s)
	case "seed":
		v.complete, v.refused = s.Time, ""
	case "seed-refused":
		v.refused = s.Detail
	case "boot-failed":
		v.failed, v.file, v.moved = s.Detail, "boot-failed", time.Time{}
	case "hello":
		v.over = true
	default:
		return false
	}

	return true
}

// question is a DISCOVER.
func (v *visit) question(s *core.BootStep) {
	if s.Client.Kind == core.ClientIPXE || firmware(s.Client.Kind) {
		v.processor = s.Client.Processor()
	}

	switch s.Client.Kind {
	case core.ClientAgent:
		v.complete = s.Time // its kernel runs, and has a driver
	case core.ClientOther:
		v.own = v.scripted.IsZero() && v.spoke.IsZero()
	case core.ClientIPXE:
		v.spoke = s.Time
		v.unheard++
	case core.ClientBIOS, core.ClientUEFI, core.ClientHTTP:
		v.kinds[s.Client.Kind] = true
		v.asked = s.Time
		v.questions++
		v.after = !v.loaded.IsZero() && s.Time.Sub(v.loaded) < refusal
	}
}

// choice is a REQUEST that took our offer.
func (v *visit) choice(s *core.BootStep) {
	switch k := s.Client.Kind; {
	case k == core.ClientIPXE:
		v.spoke, v.addressed, v.unheard = s.Time, s.Time, 0
	case firmware(k):
		v.chosen, v.questions, v.rival = s.Time, 0, false
	}
}

// autoexec is the script that an EFI iPXE looks for beside itself, before it asks for an
// address of its own.
const autoexec = "autoexec.ipxe"

// boots is a boot program on its way.
func (v *visit) boots(s *core.BootStep) {
	v.fetched = s.Time

	if strings.HasPrefix(s.Detail, autoexec) { // asked for by iPXE, which runs then
		v.loaded, v.started, v.after = s.Time, true, false

		return
	}

	if s.Share == 100 || s.Kind == "tftp" {
		v.loaded, v.broken, v.probes, v.after = s.Time, 0, 0, false // another one may be what it takes
		v.loader, _, _ = strings.Cut(s.Detail, " ")
	}
}

// piece is a part of the image on its way.
func (v *visit) piece(s *core.BootStep) {
	v.moved, v.file = s.Time, s.Kind
	v.share[s.Kind] = s.Share

	v.complete = time.Time{}
	if s.Kind == "initrd" && s.Share == 100 { // another part may follow, and be in the way then
		v.complete = s.Time
	}
}

// cause names what is in the way, from the end of a boot to its beginning: whatever came
// before was overcome.
func (v *visit) cause(now time.Time) (code, evidence string) {
	switch {
	case v.over:
		return "", ""
	case v.processor != "":
		return problem.DoctorOtherProcessor, "it introduces itself as " + v.processor
	}

	for _, look := range []func(now time.Time) (code, evidence string){v.image, v.program, v.fetching, v.asking} {
		if code, evidence := look(now); code != "" || evidence == passed {
			return code, evidence
		}
	}

	return "", ""
}

// passed says that a boot has got further than what is asked about.
const passed = "passed"

// image looks at what comes after the script.
func (v *visit) image(now time.Time) (code, evidence string) {
	switch {
	case v.refused != "":
		return problem.DoctorSeedRefused, v.refused
	case v.file == "boot-failed":
		return problem.DoctorImageFailed, v.failed
	case v.home:
		return "", passed
	case !v.complete.IsZero() && v.complete.After(v.scripted) && now.Sub(v.complete) > agentTime:
		return problem.DoctorAgentSilent, fmt.Sprintf("the image's last part was sent at %s", clock(v.complete))
	case !v.complete.IsZero():
		return "", passed
	case !v.moved.IsZero() && now.Sub(v.moved) > imageTime:
		return problem.DoctorImageStalled, fmt.Sprintf("%s came to %d %% at %s", v.file, v.share[v.file], clock(v.moved))
	case !v.moved.IsZero():
		return "", passed
	case !v.scripted.IsZero() && now.Sub(v.scripted) > imageTime:
		return problem.DoctorImageStalled, fmt.Sprintf("the script was fetched at %s, and no kernel after it", clock(v.scripted))
	case !v.scripted.IsZero():
		return "", passed
	}

	return "", ""
}

// program looks at the boot program: iPXE, from its first word to its script.
func (v *visit) program(now time.Time) (code, evidence string) {
	switch {
	case v.spoke.IsZero():
		return "", ""
	case v.unheard >= manyQuestions:
		return problem.DoctorLoaderUnheard, fmt.Sprintf("it asked %d times, last at %s, and took no offer", v.unheard, clock(v.spoke))
	case !v.addressed.IsZero() && now.Sub(v.addressed) > scriptTime:
		return problem.DoctorNoScript, fmt.Sprintf("it took its address at %s", clock(v.addressed))
	}

	return "", passed
}

// fetching looks at what the firmware fetches.
func (v *visit) fetching(now time.Time) (code, evidence string) {
	switch {
	case v.rival:
		return problem.DoctorOtherServer, v.rivalSays
	case v.full != "" && v.chosen.IsZero():
		return problem.DoctorNoAddress, v.full
	case v.after:
		return problem.DoctorLoaderRefused, fmt.Sprintf("%s was sent until %s; the firmware asked for an address again at %s", v.loader, clock(v.loaded), clock(v.asked))
	case !v.loaded.IsZero() && now.Sub(v.loaded) > loaderTime:
		if v.started {
			return problem.DoctorLoaderSilent, fmt.Sprintf("%s was sent, started and asked for %s at %s, and was not heard since", v.loader, autoexec, clock(v.loaded))
		}

		return problem.DoctorLoaderSilent, fmt.Sprintf("%s was sent until %s", v.loader, clock(v.loaded))
	case !v.loaded.IsZero():
		return "", passed
	case v.broken > 1, v.broken > 0 && now.Sub(v.last.Time) > fetchTime: // EDK2 tries once, and goes on to its next way
		return problem.DoctorTransferFails, fmt.Sprintf("transfers that broke off: %d, the last: %s", v.broken, v.failed)
	case v.probes > 0 && now.Sub(v.last.Time) > fetchTime:
		return problem.DoctorProbeOnly, fmt.Sprintf("it asked %d times, last at %s", v.probes, clock(v.last.Time))
	}

	return "", ""
}

// asking looks at how the firmware comes to an address.
func (v *visit) asking(now time.Time) (code, evidence string) {
	quiet := now.Sub(v.last.Time)

	switch {
	case v.own:
		return problem.DoctorOwnSystem, fmt.Sprintf("a system asked for an address at %s", clock(v.last.Time))
	case v.kinds[core.ClientHTTP] && (v.kinds[core.ClientUEFI] || v.kinds[core.ClientBIOS]) && quiet > giveUp:
		return problem.DoctorOrderExhausted, fmt.Sprintf("its last question came at %s", clock(v.asked))
	case v.questions >= manyQuestions:
		return problem.DoctorOffersUnheard, fmt.Sprintf("it asked %d times, last at %s", v.questions, clock(v.asked))
	case !v.chosen.IsZero() && v.fetched.IsZero() && v.probes == 0 && now.Sub(v.chosen) > fetchTime:
		return problem.DoctorNothingFetched, fmt.Sprintf("it took its address at %s", clock(v.chosen))
	case v.asked.IsZero() && v.chosen.IsZero() && !v.powered.IsZero() && now.Sub(v.powered) > powerTime:
		return problem.DoctorNothingHeard, fmt.Sprintf("it was switched on at %s", clock(v.powered))
	}

	return "", ""
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// Last returns the steps of the last boot of a trace, oldest first: from the moment
// somebody switched the machine, where that is known.
func Last(steps []core.BootStep) []core.BootStep {
	v, from, powered := newVisit(), 0, -1

	for i := range steps {
		if v.begins(&steps[i]) {
			v, from = newVisit(), i

			if powered >= 0 && powered < i && steps[i].Kind != "power" && steps[i].Time.Sub(steps[powered].Time) < powerTime {
				from = powered
			}
		}

		if steps[i].Kind == "power" && steps[i].Code == "" && steps[i].Op != core.PowerOff {
			powered = i
		}

		v.take(&steps[i])
	}

	return steps[from:]
}
