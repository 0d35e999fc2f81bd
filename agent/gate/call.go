package gate

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"vetting/agent/wire"
	"vetting/core"
)

func (g *gate) hello(ctx context.Context, c *caller, in wire.Hello) (wire.HelloReply, error) {
	if !wire.Speaks(in.ProtocolVersion) {
		return wire.HelloReply{}, core.NewProblem(core.ErrInvalid, "agent/protocol-version",
			fmt.Sprintf("The agent speaks protocol version %d, this appliance %s; boot the image that came with it.",
				in.ProtocolVersion, wire.Versions()))
	}

	mac, err := core.ParseMAC(in.MAC)
	if err != nil {
		return wire.HelloReply{}, err
	}

	reply, err := g.Runs.Hello(ctx, c.run, c.token, core.Hello{
		Protocol: in.ProtocolVersion, AgentVersion: text(in.AgentVersion, wire.MaxName), MAC: mac, IP: in.IP,
		BootID: text(in.BootID, wire.MaxName), Kernel: text(in.Kernel, wire.MaxName),
		Firmware: string(in.Firmware), SecureBoot: in.SecureBoot, ImageID: text(in.ImageID, wire.MaxName),
	})

	return wire.HelloReply{State: wire.State(reply.State), ServerTime: wire.At(reply.ServerTime)}, err
}

func (g *gate) claim(ctx context.Context, c *caller, in wire.Claim) (wire.ClaimReply, error) {
	identity := core.Identity{
		SMBIOSUUID:  text(in.Identity.SMBIOSUUID, wire.MaxName),
		BoardSerial: text(in.Identity.BoardSerial, wire.MaxName),
		MACs:        each(in.Identity.MACs, func(m string) core.MAC { return core.MAC(m) }),
	}

	reply, err := g.Runs.Claim(ctx, c.run, c.token, core.Claim{BootID: text(in.BootID, wire.MaxName), Identity: identity})
	if err != nil {
		return wire.ClaimReply{}, err
	}

	out := claimReply(reply)
	if g.Screen != nil {
		out.Page, out.QR = g.Screen.Page(c.run)
	}

	return out, nil
}

func (g *gate) heartbeat(ctx context.Context, c *caller, in wire.Heartbeat) (wire.Order, error) {
	order, err := g.Runs.Heartbeat(ctx, c.run, c.token, core.Beat{
		Stage: core.StageName(in.Stage), SubStep: text(in.SubStep, wire.MaxName), Progress: in.Progress,
		ETA: in.ETAS.Duration(), Uptime: in.UptimeS.Duration(), Meters: each(in.Meters, meter),
	})
	if err != nil {
		return wire.Order{}, err
	}

	return wire.Order{
		Cmd: wire.Command(order.Cmd), State: wire.State(order.State), Stage: wire.StageName(order.Stage),
		OverrideFlags: order.Overrides, OverrideUntil: wire.At(order.OverrideUntil), WriteLeaseUntil: wire.At(order.WriteLeaseUntil),
		Reboot: order.Reboot, Outlook: g.outlook(ctx, c.run, order.Outlook), Locate: locate(order.Light),
	}, nil
}

func locate(l *core.Light) *wire.Locate {
	if l == nil {
		return nil
	}

	return &wire.Locate{Kind: l.Kind, Name: l.Name, Until: wire.At(l.Until)}
}

// outlook adds what is learned.
func (g *gate) outlook(ctx context.Context, run core.RunID, o core.Outlook) *wire.Outlook {
	if g.Screen != nil && o.Stage > 0 {
		o.LeftLow, o.LeftHigh, o.LeftGuess = g.Screen.Left(ctx, run)
	}

	return &wire.Outlook{
		Stage: o.Stage, Stages: o.Stages, Critical: o.Critical, Warnings: o.Warnings, Verdict: string(o.Verdict),
		LeftLowS: wire.Bounded(o.LeftLow), LeftHighS: wire.Bounded(o.LeftHigh), LeftGuess: o.LeftGuess, HoldUntil: wire.At(o.HoldUntil),
	}
}

// log stores the lines first and announces them then, so that nobody is told of
// lines that are not there.
func (g *gate) log(ctx context.Context, c *caller, in wire.LogBatch) (wire.LogReply, error) {
	lines := each(in.Lines, func(l wire.Line) core.LogLine {
		return core.LogLine{
			Time: l.Time.Time, Level: string(l.Level), Stage: core.StageName(l.Stage), Text: text(l.Text, wire.MaxLine),
		}
	})

	last, err := g.Logs.AppendLog(ctx, c.run, c.epoch, in.Seq, lines)
	if err != nil {
		return wire.LogReply{}, fmt.Errorf("storing log lines of %s: %w", c.run, err)
	}

	return wire.LogReply{}, g.Runs.Logged(ctx, c.run, last)
}

func (g *gate) sensor(ctx context.Context, c *caller, in wire.SensorBatch) (wire.SensorReply, error) {
	broken, err := g.Runs.Sensor(ctx, c.run, c.token, in.Seq, each(in.Samples, sample))

	return wire.SensorReply{Breaches: each(broken, breach)}, err
}

func (g *gate) result(ctx context.Context, c *caller, in wire.Result) (wire.ResultReply, error) {
	state, err := g.Runs.Result(ctx, c.run, c.token, result(in))

	return wire.ResultReply{NextState: wire.State(state)}, err
}

// hold opens the door of a failed host. Where the call came from goes along: a
// machine can only open its own.
func (g *gate) hold(ctx context.Context, c *caller, in wire.Hold) (wire.HoldReply, error) {
	reply, err := g.Runs.HoldOpened(ctx, c.run, c.token, core.HoldCall{IP: in.IP, From: c.from, SSHHostKey: in.SSHHostKey})

	return wire.HoldReply{AuthorizedKeys: reply.AuthorizedKeys, Until: wire.At(reply.Until)}, err
}

// traffic hands out a ticket for network tests.
func (g *gate) traffic(ctx context.Context, c *caller, _ wire.Traffic) (wire.TrafficReply, error) {
	if _, err := g.Runs.Authorise(ctx, c.run, c.token); err != nil {
		return wire.TrafficReply{}, err
	}

	if g.Partner == nil {
		return wire.TrafficReply{}, core.NewProblem(core.ErrNotFound, "agent/no-partner", "This appliance has no throughput partner.")
	}

	return g.Partner.Admit(c.run, c.token)
}

// pair brings a machine together with another one.
func (g *gate) pair(ctx context.Context, c *caller, in wire.Pair) (wire.PairReply, error) {
	if g.Meetings == nil {
		return wire.PairReply{State: wire.PairAlone}, nil
	}

	return g.Meetings.Pair(ctx, c.run, in)
}

// artifact streams a file into the store; it is never in memory as a whole.
func (g *gate) artifact(ctx context.Context, c *caller) (any, error) {
	name := text(c.query["name"], wire.MaxName)
	if name == "" || len(c.query["name"]) > wire.MaxName {
		return nil, core.NewProblem(core.ErrInvalid, "agent/artifact-name",
			"An artifact needs a name of at most 256 bytes: artifact?name=….")
	}

	var stage wire.StageName
	if err := stage.UnmarshalText([]byte(c.query["stage"])); err != nil {
		return nil, core.NewProblem(core.ErrInvalid, "agent/unknown-value", sentence(err))
	}

	body := &measured{from: c.body}

	digest, size, err := g.Artifacts.KeepArtifact(ctx, body, c.limit)
	if body.tooLarge != nil { // whatever the store made of it
		return nil, body.tooLarge
	}

	if err != nil {
		return nil, fmt.Errorf("storing an artifact of %s: %w", c.run, err)
	}

	kept, err := g.Runs.Kept(ctx, core.Artifact{
		Run: c.run, Stage: core.StageName(stage), Name: name, Size: size, SHA256: digest, Time: g.Now(),
	})

	return wire.ArtifactReply{ID: kept.ID, SHA256: kept.SHA256}, err
}

// measured remembers that a body was longer than allowed.
type measured struct {
	from     io.Reader
	tooLarge *http.MaxBytesError
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.from.Read(p)

	if tooLarge, ok := asTooLarge(err); ok {
		m.tooLarge = tooLarge
	}

	return n, err
}
