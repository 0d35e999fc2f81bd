package simhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vetting/agent"
	"vetting/agent/wire"
	"vetting/core"
)

// lie holds the conversation of an agent that says what is not so: results of
// stages that are not under way, numbers that were used before, values that cannot
// be, a verdict that does not exist. It returns the errors of the lies that the
// appliance took for true; then it falls silent.
func (h *Host) lie(ctx context.Context) error {
	client, err := h.Client()
	if err != nil {
		return err
	}
	defer client.Close()

	if _, err := client.Hello(ctx, h.Seed.BootToken, wire.Hello{
		ProtocolVersion: wire.Version, AgentVersion: "liar", MAC: h.Seed.MAC, BootID: h.BootID, Firmware: wire.ModeBIOS,
	}); err != nil {
		return fmt.Errorf("saying hello: %w", err)
	}

	claim := wire.Claim{BootID: h.BootID, Identity: wire.Identity{SMBIOSUUID: h.Identity.SMBIOSUUID, BoardSerial: h.Identity.BoardSerial}}
	for _, mac := range h.Identity.MACs {
		claim.Identity.MACs = append(claim.Identity.MACs, string(mac))
	}

	reply, err := client.Claim(ctx, h.Seed.BootToken, claim)
	if err != nil {
		return fmt.Errorf("claiming the run: %w", err)
	}

	var believed []error

	for name, tell := range lies(client, reply.SessionToken) {
		err := tell(ctx)
		if _, refused := errors.AsType[*agent.Refusal](err); !refused {
			believed = append(believed, fmt.Errorf("the lie %q was answered with %w", name, err))
		}
	}

	if h.Log != nil {
		h.Log.Info("simulated machine has lied", slog.Int("believed", len(believed)))
	}

	return errors.Join(believed...)
}

var errBelieved = errors.New("an OK")

// lies are what no honest agent says.
func lies(client *agent.Client, token string) map[string]func(context.Context) error {
	believed := func(err error) error {
		if err == nil {
			return errBelieved
		}

		return err
	}
	result := func(change func(*wire.Result)) func(context.Context) error {
		return func(ctx context.Context) error {
			r := wire.Result{Seq: 900, Stage: wire.StageName(core.InventoryCheck), Verdict: wire.VerdictPass}
			change(&r)

			_, err := client.Result(ctx, token, r)

			return believed(err)
		}
	}
	sample := func(change func(*wire.Sample)) func(context.Context) error {
		return func(ctx context.Context) error {
			value := 1.0
			s := wire.Sample{Time: wire.At(time.Now()), Key: "cpu/package0/temperature_celsius", Value: &value, Unit: "celsius"}
			change(&s)

			_, err := client.Sensor(ctx, token, wire.SensorBatch{Seq: 900, Samples: []wire.Sample{s}})

			return believed(err)
		}
	}

	return map[string]func(context.Context) error{
		"a result of a stage that is not under way": result(func(r *wire.Result) { r.Stage = wire.StageName(core.SMART) }),
		"a result of a stage that is not planned":   result(func(r *wire.Result) { r.Stage = wire.StageName(core.GPU) }),
		"a result of the appliance's own stage":     result(func(r *wire.Result) { r.Stage = wire.StageName(core.Reporting) }),
		"a result without a number":                 result(func(r *wire.Result) { r.Seq = 0 }),
		"a verdict that does not exist":             result(func(r *wire.Result) { r.Verdict = "splendid" }),
		"a skip without a reason":                   result(func(r *wire.Result) { r.Verdict = wire.VerdictSkip }),
		"a pass with more than all done": result(func(r *wire.Result) {
			r.SubSteps = []wire.SubStep{{Name: "x", Verdict: wire.VerdictPass, Progress: 7}}
		}),
		"a sample that nobody knows":       sample(func(s *wire.Sample) { s.Key = "cpu/package0/beauty_points" }),
		"a sample in another unit":         sample(func(s *wire.Sample) { s.Unit = "fahrenheit" }),
		"a sample without a time":          sample(func(s *wire.Sample) { s.Time = wire.Time{} }),
		"a sample of a stage of its own":   sample(func(s *wire.Sample) { s.Stage = "Lunch" }),
		"an inventory before it was asked": result(func(r *wire.Result) { r.Stage, r.Inventory = wire.StageName(core.Firmware), &wire.Inventory{} }),
	}
}
