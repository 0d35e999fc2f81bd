package stage

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"time"

	"vetting/agent/gpu"
	"vetting/agent/probe"
	"vetting/core"
	"vetting/core/problem"
	"vetting/core/profile"
	"vetting/firmware/inventory"
)

// GPUTools runs the programs of GPU vendors that overlays bring.
type GPUTools interface {
	// Prepare loads what the programs need; the error says what could not be.
	Prepare(overlays []core.Overlay) error
	// Find returns a program; empty: no overlay has it.
	Find(overlays []core.Overlay, program string) string
	// Run runs it to its end; the output counts also with an error.
	Run(ctx context.Context, overlays []core.Overlay, file string, args ...string) ([]byte, error)
	// Serve runs it until stop is called.
	Serve(overlays []core.Overlay, file string, args ...string) (stop func(), err error)
}

const (
	askTime   = time.Minute      // for a program that only tells
	pollEvery = 10 * time.Second // while the GPUs work
	hostReady = 30 * time.Second // for DCGM's host engine to answer
)

// GPU looks at each graphics and compute processor without its vendor's software:
// presence, links, BARs, the driver's error counters before and after. Where an overlay
// of the run brings NVIDIA's tools, it reads what they tell and has DCGM work the GPUs, at
// the level GPU.dcgm. What is not worked is NOT tested: the stage is then a skip, or with
// GPU.require_compute an error. stages.md §3.10.
func GPU(m probe.Machine, tools GPUTools) Func {
	return func(ctx context.Context, env Env) core.Result {
		x := &gpuExam{machine: m, tools: tools, env: env, require: env.Config[profile.GPURequire] == "yes"}

		return x.run(ctx)
	}
}

// gpuExam is one try of the stage.
type gpuExam struct {
	machine probe.Machine
	tools   GPUTools
	env     Env
	require bool // compute must be tested

	units    []*gpuUnit
	findings []core.Finding
	errors   []core.Finding // why the stage proves nothing
	samples  []core.Sample
}

// gpuUnit is a GPU and what was seen of it.
type gpuUnit struct {
	core.Graphics

	slot          string
	before, after gpu.Passive
	card          *gpu.Card // of nvidia-smi, before; nil: it does not know the GPU
	worked        bool      // a test of DCGM had it work, and it passed
	untested      string    // why not
	seen          gpuLoad
}

// gpuLoad is what was seen of a GPU while it worked.
type gpuLoad struct {
	samples  int
	gen      int     // the best of its link
	width    int     // the fewest lanes of its link; 0: not told
	power    float64 // the most
	headroom float64 // the least; NaN: not told
	slowdown []string

	slow, slowest int // samples in a row with hw_slowdown: up to now, at most
}

// unhealthy reports whether the hardware slowed a GPU down for a fault. The bare reason may
// show for a moment while the GPU changes its clocks (nvml.h, nvmlClocksThrottleReasonHwSlowdown).
func (s *gpuLoad) unhealthy() bool {
	return s.slowest > 1 || slices.Contains(s.slowdown, "hw_thermal_slowdown") || slices.Contains(s.slowdown, "hw_power_brake_slowdown")
}

func (u *gpuUnit) part() core.Part {
	p := core.Part{Kind: "gpu", Slot: u.Address, Model: u.Name, Serial: u.UUID}
	if u.slot != "" {
		p.Slot = u.slot
	}

	if u.card != nil {
		p.Model = u.card.Model
		if u.card.Serial != "" {
			p.Serial = u.card.Serial
		}
	}

	return p
}

func (x *gpuExam) run(ctx context.Context) core.Result {
	x.find()

	if len(x.units) == 0 {
		return x.none()
	}

	if len(x.env.Overlays) > 0 {
		if err := x.tools.Prepare(x.env.Overlays); err != nil {
			x.env.Log.Warn("something of the overlays could not be loaded", slog.String("error", err.Error()))
		}
	}

	x.env.Progress("counters", 0, 0)
	x.passive(func(u *gpuUnit) *gpu.Passive { return &u.before })

	if err := x.nvidia(ctx); err != nil {
		return stopped(err)
	}

	x.radeon(ctx)

	if ctx.Err() != nil {
		return stopped(ctx.Err())
	}

	x.passive(func(u *gpuUnit) *gpu.Passive { return &u.after })
	x.env.Progress("", 1, 0)

	return x.result()
}

// find lists the GPUs that are there to compute: no consoles, and no graphics inside of a
// CPU.
func (x *gpuExam) find() {
	tables, err := inventory.ReadSMBIOS(x.machine.Root)
	if err != nil {
		tables = nil // only the names of slots are missed
	}

	devices := x.machine.PCI(tables)

	for _, g := range x.machine.GPUs(devices) {
		i := slices.IndexFunc(devices, func(d core.PCIDevice) bool { return d.Address == g.Address })
		if i >= 0 && devices[i].Computes() {
			x.units = append(x.units, &gpuUnit{Graphics: g, slot: devices[i].Slot})
		}
	}
}

// none is the result for a machine without GPUs.
func (x *gpuExam) none() core.Result {
	missing := x.missing()
	result := core.Result{Verdict: core.Skip, SkipReason: "no GPU", Coverage: "no GPU", Findings: missing}

	switch {
	case len(missing) > 0:
		result.Verdict, result.SkipReason = core.Fail, ""
	case x.require:
		result.Verdict, result.SkipReason = core.Error, ""
		result.Findings = []core.Finding{problem.Finding(problem.GPUNoCompute, "", core.GPU, core.Part{Kind: "gpu"}, "no GPU was found, and GPU.require_compute is yes")}
	}

	return result
}

// missing says so when fewer GPUs are there than the profile wants.
func (x *gpuExam) missing() []core.Finding {
	want := wholeSetting(x.env.Config[profile.GPUCount])
	if len(x.units) >= want {
		return nil
	}

	var there []string
	for _, u := range x.units {
		there = append(there, u.Address+" "+u.Name)
	}

	return []core.Finding{problem.Finding(problem.GPUMissing, "", core.GPU, core.Part{Kind: "gpu"},
		fmt.Sprintf("%d of %d GPUs are there (GPU.count): %s", len(x.units), want, orNothing(strings.Join(there, ", "))))}
}

func orNothing(s string) string {
	if s == "" {
		return "none"
	}

	return s
}

func (x *gpuExam) passive(into func(u *gpuUnit) *gpu.Passive) {
	for _, u := range x.units {
		*into(u) = gpu.ReadPassive(x.machine.Root, u.Address)
	}
}

// nvidia asks nvidia-smi and has DCGM work the GPUs, where an overlay brings them. The
// error is that of ctx.
func (x *gpuExam) nvidia(ctx context.Context) error {
	mine := x.of("10de")

	smi := x.tools.Find(x.env.Overlays, "nvidia-smi")
	if len(mine) == 0 || smi == "" {
		return nil
	}

	cards, status, err := x.ask(ctx, smi)

	if err != nil && ctx.Err() == nil {
		x.broken(mine, "nvidia-smi does not tell: "+err.Error())
	}

	if err != nil {
		return ctx.Err()
	}

	for _, u := range mine {
		i := slices.IndexFunc(cards, func(c gpu.Card) bool { return c.Address == u.Address })
		if i < 0 {
			u.untested = fmt.Sprintf("nvidia-smi tells of %d GPUs, not of this one", len(cards))

			continue
		}

		u.card = &cards[i]
	}

	x.complained(mine, status)

	if err := x.diagnose(ctx, smi, cards); err != nil {
		return err
	}

	after, later, err := x.ask(ctx, smi)

	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		x.broken(mine, "nvidia-smi does not tell any more: "+err.Error())
	default:
		if later != status {
			x.complained(mine, later)
		}

		x.compare(after)
	}

	return nil
}

// complained notes that nvidia-smi tells all and ends with a status all the same: of the
// GPUs that its last words name, or of all.
func (x *gpuExam) complained(units []*gpuUnit, status string) {
	if status == "" {
		return
	}

	named := slices.DeleteFunc(slices.Clone(units), func(u *gpuUnit) bool { return !strings.Contains(strings.ToLower(status), u.Address) })
	if len(named) == 0 {
		named = units
	}

	for _, u := range named {
		x.say(u, problem.GPUComplaint, "", "nvidia-smi tells of it, and ends with %s", status)
	}
}

// of lists the GPUs of a vendor.
func (x *gpuExam) of(vendor string) (units []*gpuUnit) {
	for _, u := range x.units {
		if u.Vendor == vendor {
			units = append(units, u)
		}
	}

	return units
}

// broken notes that tools which are there do not do their work.
func (x *gpuExam) broken(units []*gpuUnit, why string) {
	for _, u := range units {
		u.untested = why
		x.errors = append(x.errors, problem.Finding(problem.GPUTool, "", core.GPU, u.part(), why))
	}
}

// leave notes why nothing has GPUs compute, where nothing graver is known.
func leave(units []*gpuUnit, why string) {
	for _, u := range units {
		if u.untested == "" {
			u.untested = why
		}
	}
}

// ask has nvidia-smi tell. Where it tells all and ends with an error, as for a GPU whose
// infoROM is corrupted, that is the status.
func (x *gpuExam) ask(ctx context.Context, smi string) (cards []gpu.Card, status string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()

	text, failed := x.tools.Run(ctx, x.env.Overlays, smi, "-q", "-x")

	cards, err = gpu.ParseSMI(text)

	switch {
	case failed == nil:
		return cards, "", err
	case err != nil || ctx.Err() != nil:
		return nil, "", failed
	}

	status, _, _ = strings.Cut(failed.Error(), "; it wrote:") // the tail of the XML
	if words := gpu.AfterSMI(text); words != "" {
		status += ": " + words
	}

	return cards, status, nil
}

// diagnose has DCGM work the GPUs. The error is that of ctx.
func (x *gpuExam) diagnose(ctx context.Context, smi string, cards []gpu.Card) error {
	level := wholeSetting(x.env.Config[profile.GPUDCGM])
	dcgmi, engine := x.tools.Find(x.env.Overlays, "dcgmi"), x.tools.Find(x.env.Overlays, "nv-hostengine")

	mine := x.of("10de")

	if dcgmi == "" || engine == "" || level == 0 {
		why := "the overlay has no DCGM (dcgmi, nv-hostengine)"
		if level == 0 {
			why = "the profile asks for no diagnostic (GPU.dcgm)"
		}

		leave(mine, why)

		return nil
	}

	if _, err := x.tools.Run(ctx, x.env.Overlays, smi, "-pm", "1"); err != nil { // DCGM wants it, and warns without
		x.env.Log.Debug("persistence mode", slog.String("error", err.Error()))
	}

	stop, err := x.tools.Serve(x.env.Overlays, engine, "-n", "-b", "127.0.0.1")
	if err != nil {
		x.broken(mine, err.Error())

		return nil
	}

	defer stop()

	x.await(ctx, dcgmi)

	text, err := x.work(ctx, smi, dcgmi, level)
	if ctx.Err() != nil {
		return ctx.Err()
	}

	x.env.Keep("dcgm-diag.json", text)

	diagnosis, bad := gpu.ParseDiag(text)

	switch {
	case len(diagnosis.Results) == 0 && gpu.WithoutDiagnostic(text, err):
		leave(mine, "the overlay has DCGM without its diagnostic (nvvs)")
	case bad != nil && err != nil:
		x.broken(mine, err.Error())
	case bad != nil:
		x.broken(mine, bad.Error())
	case err != nil && !diagnosis.Complains(): // or the status is that of a test
		diagnosis.Errors = append(diagnosis.Errors, err.Error())

		fallthrough
	default:
		x.judgeDiagnosis(&diagnosis, cards)
	}

	return nil
}

// await waits until DCGM's host engine answers.
func (x *gpuExam) await(ctx context.Context, dcgmi string) {
	ctx, cancel := context.WithTimeout(ctx, hostReady)
	defer cancel()

	for ctx.Err() == nil {
		if _, err := x.tools.Run(ctx, x.env.Overlays, dcgmi, "discovery", "-l"); err == nil {
			return
		}

		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// limitOf is how long a level of the diagnostic may take: several times what it does.
func limitOf(level int) time.Duration {
	switch level {
	case 1:
		return 5 * time.Minute
	case 2:
		return 15 * time.Minute
	case 3:
		return 90 * time.Minute
	default:
		return 6 * time.Hour
	}
}

// work runs the diagnostic and looks at the GPUs meanwhile.
func (x *gpuExam) work(ctx context.Context, smi, dcgmi string, level int) (text []byte, err error) {
	limit := limitOf(level)

	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	done := make(chan struct{})

	go func() {
		defer close(done)

		text, err = x.tools.Run(ctx, x.env.Overlays, dcgmi, "diag", "-r", fmt.Sprint(level), "-j")
	}()

	begin, ticker := time.Now(), time.NewTicker(pollEvery)
	defer ticker.Stop()

	for {
		x.env.Progress(fmt.Sprintf("dcgm diagnostic, level %d", level), min(0.95, float64(time.Since(begin))/float64(limit)), 0)

		select {
		case <-done:
			return text, err
		case <-ticker.C:
			if cards, _, err := x.ask(ctx, smi); err == nil {
				x.observe(cards)
			}
		}
	}
}

// observe takes in what was told while the GPUs worked.
func (x *gpuExam) observe(cards []gpu.Card) {
	for i := range cards {
		for _, u := range x.units {
			if u.Address == cards[i].Address {
				x.measure(u, &cards[i])
				u.seen.add(&cards[i])
			}
		}
	}
}

// add takes in a sample.
func (s *gpuLoad) add(c *gpu.Card) {
	s.power, s.gen = max(s.power, numeric(c.Power)), max(s.gen, c.Gen)

	if c.Width > 0 && (s.width == 0 || c.Width < s.width) {
		s.width = c.Width
	}

	if s.samples == 0 || math.IsNaN(s.headroom) || c.Headroom < s.headroom {
		s.headroom = c.Headroom
	}

	if s.samples++; slices.Contains(c.Slowdown, "hw_slowdown") {
		s.slow++
	} else {
		s.slow = 0
	}

	s.slowest = max(s.slowest, s.slow)

	for _, why := range c.Slowdown {
		if !slices.Contains(s.slowdown, why) {
			s.slowdown = append(s.slowdown, why)
		}
	}
}

// measure hands over what a GPU tells of heat and power.
func (x *gpuExam) measure(u *gpuUnit, c *gpu.Card) {
	now := time.Now()

	for quantity, value := range map[string]float64{"temperature_celsius": c.Temperature, "power_watts": c.Power} {
		if numeric(value) > 0 {
			x.env.Sensor(core.Sample{Time: now, Key: "gpu/" + u.Address + "/" + quantity, Value: value, Stage: core.GPU})
		}
	}
}

// numeric is 0 for what was not told.
func numeric(v float64) float64 {
	if v != v { //nolint:gocritic,staticcheck // NaN
		return 0
	}

	return v
}

// radeon asks rocm-smi, where an overlay brings it.
func (x *gpuExam) radeon(ctx context.Context) {
	mine := x.of("1002")

	smi := x.tools.Find(x.env.Overlays, "rocm-smi")
	if len(mine) == 0 || smi == "" || ctx.Err() != nil {
		return
	}

	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()

	text, err := x.tools.Run(ctx, x.env.Overlays, smi, "-a", "--json")

	var cards []gpu.Radeon
	if err == nil {
		cards, err = gpu.ParseROCm(text)
	}

	if err != nil {
		x.broken(mine, "rocm-smi does not tell: "+err.Error())

		return
	}

	x.env.Keep("rocm-smi.json", text)

	for _, u := range mine {
		u.untested = "nothing here has it compute; rocm-smi was asked"

		i := slices.IndexFunc(cards, func(c gpu.Radeon) bool { return c.Address == u.Address })
		if i < 0 {
			u.untested = fmt.Sprintf("rocm-smi tells of %d GPUs, not of this one", len(cards))

			continue
		}

		if cards[i].Serial != "" {
			u.UUID = cards[i].Serial
		}
	}
}
