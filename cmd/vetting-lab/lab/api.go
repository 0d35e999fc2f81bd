//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"

	"vetting/cmd/client"
	"vetting/core"
	"vetting/core/report"
	"vetting/core/route"
)

// API is the appliance's public API, called from outside with a token. Errors
// that the appliance answered with are a *client.Fault.
type API struct{ client *client.Client }

// API returns a client with a fresh token. It trusts the very certificate that
// the appliance keeps in its data directory, and no other.
func (a *Appliance) API(ctx context.Context, scope route.Scope) (*API, error) {
	token, err := a.Token(ctx, scope)
	if err != nil {
		return nil, err
	}

	c, err := client.New(a.Console(), token, filepath.Join(a.dir, "console.crt"))
	if err != nil {
		return nil, err
	}

	return &API{client: c}, nil
}

func (a *API) call(ctx context.Context, name, param string, body, out any) error {
	ask := client.Request{Route: name, Body: body}
	if param != "" {
		ask.Params = []string{param}
	}

	return a.client.Call(ctx, ask, out)
}

// Register makes a host known.
func (a *API) Register(ctx context.Context, name, mac string, power core.PowerMethod) (host core.Host, err error) {
	err = a.call(ctx, "hosts.create", "", route.HostCreate{MAC: mac, Name: name, Power: &core.Power{Method: power}}, &host)

	return host, err
}

// Host returns a host.
func (a *API) Host(ctx context.Context, mac string) (host core.Host, err error) {
	err = a.call(ctx, "hosts.get", mac, nil, &host)

	return host, err
}

// SetSpec sets the expected spec of a host.
func (a *API) SetSpec(ctx context.Context, mac, yaml string) error {
	return a.call(ctx, "hosts.spec", mac, yaml, nil)
}

// Vet starts a run; scale 0 is the profile's own.
func (a *API) Vet(ctx context.Context, mac, profile string, scale float64) (run route.Run, err error) {
	return a.Start(ctx, mac, route.RunStart{Profile: profile, Scale: scale})
}

// Start starts a run with all that can be said of it.
func (a *API) Start(ctx context.Context, mac string, start route.RunStart) (run route.Run, err error) {
	err = a.call(ctx, "hosts.start", mac, start, &run)

	return run, err
}

// Retry has the stage run again that failed.
func (a *API) Retry(ctx context.Context, id core.RunID) error {
	return a.call(ctx, "runs.retry", string(id), nil, nil)
}

// OverrideWipe has Storage run again and pass over what the probe found on disks.
func (a *API) OverrideWipe(ctx context.Context, id core.RunID, reason string, serials ...string) error {
	return a.call(ctx, "runs.override-wipe", string(id), route.WipeOverride{Serials: serials, Reason: reason}, nil)
}

// Run returns a run as it stands.
func (a *API) Run(ctx context.Context, id core.RunID) (run route.Run, err error) {
	err = a.call(ctx, "runs.get", string(id), nil, &run)

	return run, err
}

// Cancel ends a run.
func (a *API) Cancel(ctx context.Context, id core.RunID) error {
	return a.call(ctx, "runs.cancel", string(id), nil, nil)
}

// Log returns the first thousand lines of a run's log.
func (a *API) Log(ctx context.Context, id core.RunID) ([]core.LogLine, error) {
	var page route.LogPage

	ask := client.Request{Route: "runs.log", Params: []string{string(id)}, Query: map[string][]string{"limit": {"1000"}}}
	err := a.client.Call(ctx, ask, &page)

	return page.Lines, err
}

// Discovered lists the machines heard that are not registered.
func (a *API) Discovered(ctx context.Context) ([]core.Sighting, error) {
	var list route.SightingList

	err := a.call(ctx, "discovered.list", "", nil, &list)
	seen := make([]core.Sighting, 0, len(list.Discovered))

	for i := range list.Discovered {
		seen = append(seen, list.Discovered[i].Sighting)
	}

	return seen, err
}

// Trace returns what the appliance saw of a machine's last boot.
func (a *API) Trace(ctx context.Context, mac string) ([]core.BootStep, error) {
	trace, err := a.BootTrace(ctx, mac)

	return trace.Steps, err
}

// BootTrace returns that and what was learned from it.
func (a *API) BootTrace(ctx context.Context, mac string) (trace route.BootTrace, err error) {
	err = a.call(ctx, "boot-trace.get", mac, nil, &trace)

	return trace, err
}

// Report is a run's report, and the page and the JSON text it was sent as.
type Report struct {
	report.Report

	Page []byte
	Text []byte
}

// Report returns the report of a run.
func (a *API) Report(ctx context.Context, id core.RunID) (r Report, err error) {
	if err = a.call(ctx, "runs.report-html", string(id), nil, &r.Page); err != nil {
		return r, err
	}

	if err = a.call(ctx, "runs.report-json", string(id), nil, &r.Text); err != nil {
		return r, err
	}

	if err = json.Unmarshal(r.Text, &r.Report); err != nil {
		return r, fmt.Errorf("reading the report: %w", err)
	}

	return r, nil
}

// HoldKey takes the key of a held host, which is handed out once.
func (a *API) HoldKey(ctx context.Context, id core.RunID) (key core.HoldKey, err error) {
	err = a.call(ctx, "runs.hold-key", string(id), nil, &key)

	return key, err
}

// SetLoader sets the boot program of a host.
func (a *API) SetLoader(ctx context.Context, mac string, loader core.Loader) error {
	return a.call(ctx, "hosts.update", mac, route.HostPatch{Loader: &loader}, nil)
}

// SetHome sets how a host is sent to its own disk.
func (a *API) SetHome(ctx context.Context, mac string, home core.Home) error {
	return a.call(ctx, "hosts.update", mac, route.HostPatch{Home: &home}, nil)
}

// SetPower says how a host is switched.
func (a *API) SetPower(ctx context.Context, mac string, method core.PowerMethod) error {
	return a.call(ctx, "hosts.update", mac, map[string]core.Power{"power": {Method: method}}, nil)
}

// HostKeys lists the keys that installed hosts have registered.
func (a *API) HostKeys(ctx context.Context) ([]core.HostKey, error) {
	var list route.HostKeyList

	err := a.call(ctx, "host-keys.list", "", nil, &list)

	return list.Keys, err
}

// ApproveHostKey lets the host with the key be told to reboot.
func (a *API) ApproveHostKey(ctx context.Context, id string) error {
	return a.call(ctx, "host-keys.approve", id, nil, nil)
}
