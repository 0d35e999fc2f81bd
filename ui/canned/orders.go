package canned

import (
	"cmp"
	"context"
	"fmt"
	"io"

	"vetting/core"
)

// RunStageAgain is of ui.Commands.
func (c *Commands) RunStageAgain(_ context.Context, who string, run core.RunID, stage core.StageName) (core.Run, error) {
	return c.order(who, "again "+string(stage), run)
}

// OverrideWipe is of ui.Commands.
func (c *Commands) OverrideWipe(_ context.Context, who string, run core.RunID, serials []string, reason string) (core.Run, error) {
	word := "override"
	for _, s := range serials {
		word += " " + s
	}

	word += ": " + reason

	return c.order(who, word, run)
}

// FailRun is of ui.Commands.
func (c *Commands) FailRun(_ context.Context, who string, run core.RunID, reason string) (core.Run, error) {
	return c.order(who, "fail: "+reason, run)
}

// WithdrawRun is of ui.Commands.
func (c *Commands) WithdrawRun(_ context.Context, who string, run core.RunID) (core.Run, error) {
	return c.order(who, "withdraw", run)
}

// RenewHoldKey is of ui.Commands.
func (c *Commands) RenewHoldKey(_ context.Context, who string, run core.RunID) (core.HoldKey, error) {
	return c.holdKey(who, "renew-hold-key", run)
}

// WaiveFinding is of ui.Commands.
func (c *Commands) WaiveFinding(_ context.Context, who string, run core.RunID, wish core.WaiverWish) (core.Waiver, error) {
	_, err := c.order(who, "waive "+wish.Finding+" until "+wish.Until.Format("2006-01-02")+": "+wish.Reason, run)

	return core.Waiver{ID: string(Run), Host: Host, Run: run, Finding: wish.Finding, Reason: wish.Reason, By: who, At: Now(), Until: wish.Until}, err
}

// WithdrawWaiver is of ui.Commands.
func (c *Commands) WithdrawWaiver(_ context.Context, who string, host core.MAC, id string) (core.Waiver, error) {
	_, err := c.order(who, "withdraw "+id+" of "+string(host), "")

	return core.Waiver{ID: id, Host: host}, err
}

// AddNote is of ui.Commands.
func (c *Commands) AddNote(_ context.Context, who string, wish core.NoteWish) (core.Note, error) {
	note := core.Note{ID: NoteID, Host: wish.Host, Run: wish.Run, By: who, At: Now(), Text: wish.Text, Photos: wish.Photos}
	_, err := c.order(who, fmt.Sprintf("note %q with %d photos", wish.Text, len(wish.Photos)), wish.Run)

	return note, err
}

// AddPhoto is of ui.Commands.
func (c *Commands) AddPhoto(_ context.Context, who string, host core.MAC, id string, photo core.Photo) (core.Note, error) {
	_, err := c.order(who, "photo "+photo.Type+" to "+id, "")

	return core.Note{ID: id, Host: host, By: who, At: Now(), Photos: []core.Photo{photo}}, err
}

// RemoveNote is of ui.Commands.
func (c *Commands) RemoveNote(_ context.Context, who string, others bool, _ core.MAC, id string) error {
	_, err := c.order(who, fmt.Sprintf("remove note %s, of others too: %v", id, others), "")

	return err
}

// HoldKey is of ui.Commands.
func (c *Commands) HoldKey(_ context.Context, who string, run core.RunID) (core.HoldKey, error) {
	return c.holdKey(who, "hold-key", run)
}

func (c *Commands) holdKey(who, word string, run core.RunID) (core.HoldKey, error) {
	if _, err := c.order(who, word, run); err != nil {
		return core.HoldKey{}, err
	}

	return core.HoldKey{
		Run: run, Host: Host, HostName: "rack3-u17", Addr: "10.77.0.50", User: "root", FileName: "vetting-" + string(run) + ".key",
		PrivateKey: "-----BEGIN OPENSSH PRIVATE KEY-----\ncanned\n-----END OPENSSH PRIVATE KEY-----\n", Alias: "vetting-" + string(run),
		KnownHosts: "vetting-" + string(run) + " ssh-ed25519 AAAAcanned", Until: Now().AddDate(0, 0, 1),
	}, nil
}

// AdoptHost is of ui.Commands.
func (c *Commands) AdoptHost(ctx context.Context, who string, host core.Host) (core.Host, error) {
	return c.RegisterHost(ctx, who, host)
}

// UndeleteHost is of ui.Commands.
func (c *Commands) UndeleteHost(_ context.Context, who string, mac core.MAC) (core.Host, error) {
	c.asked(who)

	if c.OnUndelete == nil {
		return core.Host{MAC: mac}, nil
	}

	return c.OnUndelete(mac)
}

// SetHostSecret is of ui.Commands.
func (c *Commands) SetHostSecret(_ context.Context, who string, mac core.MAC, secret core.HostSecret) (core.Host, error) {
	c.asked(who)

	if c.OnSecret != nil {
		c.OnSecret(mac, secret)
	}

	return core.Host{MAC: mac, Power: core.Power{
		BMC: core.BMC{PasswordSet: secret.BMCPassword != ""}, Webhook: core.Webhook{SecretSet: secret.WebhookSecret != ""},
	}}, nil
}

// LearnSpec is of ui.Commands.
func (c *Commands) LearnSpec(context.Context, core.RunID) (string, error) {
	return "memory:\n  dimms:\n    count: 4\n", nil
}

// SetClass is of ui.Commands.
func (c *Commands) SetClass(_ context.Context, who string, class core.Class, only ...func(*core.Class) error) (core.Class, error) {
	c.asked(who)

	if c.OnClass != nil {
		return c.OnClass(class, only)
	}

	return class, nil
}

// DeleteClass is of ui.Commands.
func (c *Commands) DeleteClass(_ context.Context, who, _ string) error {
	c.asked(who)

	return nil
}

// PowerHost is of ui.Commands.
func (c *Commands) PowerHost(_ context.Context, who string, mac core.MAC, op core.PowerOp) (core.PowerState, error) {
	c.asked(who)

	if c.OnPower == nil {
		return core.PowerUnknown, nil
	}

	return c.OnPower(mac, op)
}

// LookAtController is of ui.Commands.
func (c *Commands) LookAtController(_ context.Context, who string, mac core.MAC) (core.Panel, error) {
	c.asked(who)

	if c.OnLook == nil {
		return Panel(), nil
	}

	return c.OnLook(mac)
}

// OpenSerial is of ui.Commands.
func (c *Commands) OpenSerial(_ context.Context, mac core.MAC, takeOver bool) (io.ReadWriteCloser, error) {
	if c.OnSerial != nil {
		return c.OnSerial(mac, takeOver)
	}

	return newEcho("\r\nDebian GNU/Linux 13 rack3-u17 ttyS1\r\n\r\nrack3-u17 login: "), nil
}

// echo is a serial port that sends what is typed back, after a greeting.
type echo struct {
	*io.PipeReader

	back *io.PipeWriter
}

func newEcho(greeting string) *echo {
	from, to := io.Pipe()
	go func() { _, _ = io.WriteString(to, greeting) }()

	return &echo{from, to}
}

func (e *echo) Write(p []byte) (int, error) { return e.back.Write(p) }

// LocateHost is of ui.Commands.
func (c *Commands) LocateHost(ctx context.Context, who string, mac core.MAC, on bool) error {
	op := core.PowerLocateOff
	if on {
		op = core.PowerLocate
	}

	_, err := c.PowerHost(ctx, who, mac, op)

	return err
}

// LightPart is of ui.Commands.
func (c *Commands) LightPart(_ context.Context, who string, mac core.MAC, wish core.LightWish) (core.Light, error) {
	c.asked(who)

	if c.OnLight != nil {
		return c.OnLight(mac, wish)
	}

	return core.Light{Kind: wish.Kind, Name: wish.Name, Until: Now().Add(cmp.Or(wish.For, core.LightFor)), By: who}, nil
}

// ApproveHostKey is of ui.Commands.
func (c *Commands) ApproveHostKey(_ context.Context, who, id string) (core.HostKey, error) {
	return c.key(who, "approve", id)
}

// RevokeHostKey is of ui.Commands.
func (c *Commands) RevokeHostKey(_ context.Context, who, id string) (core.HostKey, error) {
	return c.key(who, "revoke", id)
}

func (c *Commands) key(who, word, id string) (core.HostKey, error) {
	c.asked(who)

	if c.OnKey == nil {
		return core.HostKey{ID: id, Host: Host, Public: make([]byte, 32), State: core.HostKeyApproved}, nil
	}

	return c.OnKey(word, id)
}

// ImportHosts is of ui.Commands.
func (c *Commands) ImportHosts(_ context.Context, who string, rows []core.ImportRow, dry bool) ([]core.Imported, error) {
	c.asked(who)

	if c.OnImport == nil {
		return nil, nil
	}

	return c.OnImport(rows, dry)
}

// SetFirmwareBaseline is of ui.Commands.
func (c *Commands) SetFirmwareBaseline(_ context.Context, who, text string, only ...func(*core.FirmwareBaseline) error) (core.FirmwareBaseline, error) {
	c.asked(who)

	if c.Baseline != nil {
		if err := Against(c.Baseline, only); err != nil {
			return core.FirmwareBaseline{}, err
		}
	}

	if c.OnBaseline == nil {
		return core.FirmwareBaseline{Text: text, SetBy: who}, nil
	}

	return c.OnBaseline(text)
}

// CheckFirmwareBaseline is of ui.Commands.
func (c *Commands) CheckFirmwareBaseline(text string) error {
	if c.OnBaseline == nil {
		return nil
	}

	_, err := c.OnBaseline(text)

	return err
}

// FirmwareCatalogue is of ui.Commands.
func (c *Commands) FirmwareCatalogue() string {
	return "rules:\n  - {id: hpe-sas-ssd-32768-hours, part: disk, model: \"*VO0480JFDGT*\", deny: \"HPD[0-7]\"}\n"
}

// IgnoreMachine is of ui.Commands.
func (c *Commands) IgnoreMachine(_ context.Context, who string, mac core.MAC) (core.Sighting, error) {
	_, err := c.order(who, "ignore "+string(mac), "")

	return core.Sighting{MAC: mac, IgnoredAt: Now(), IgnoredBy: who}, err
}

// HeedMachine is of ui.Commands.
func (c *Commands) HeedMachine(_ context.Context, who string, mac core.MAC) (core.Sighting, error) {
	_, err := c.order(who, "heed "+string(mac), "")

	return core.Sighting{MAC: mac}, err
}

// MoveRun is of ui.Commands.
func (c *Commands) MoveRun(_ context.Context, who string, run core.RunID, to core.QueueMove) (core.QueueMoved, error) {
	_, err := c.order(who, "move "+string(to.To)+" "+string(to.Before), run)

	return core.QueueMoved{Order: []core.RunID{run}}, err
}
