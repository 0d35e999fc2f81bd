package power

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"
)

// redfish is a BMC that speaks Redfish (DSP0266).
type redfish struct{ target *Target }

// Reading back is tried so often, so long apart: some BMCs answer a PATCH before
// they have done it.
const (
	readBacks     = 4
	readBackPause = 500 * time.Millisecond
	maxSystems    = 64
	logoutTime    = time.Second
)

func (r redfish) on(ctx context.Context) error {
	return r.with(ctx, func(s *schemas.ComputerSystem) error {
		if stateOf(s) == On {
			return nil // many BMCs refuse to switch on what is on
		}

		return reset(s, schemas.OnResetType, schemas.ForceOnResetType)
	})
}

func (r redfish) off(ctx context.Context) error {
	return r.with(ctx, func(s *schemas.ComputerSystem) error {
		if stateOf(s) == Off {
			return nil
		}

		return reset(s, schemas.ForceOffResetType)
	})
}

func (r redfish) cycle(ctx context.Context) error {
	return r.with(ctx, func(s *schemas.ComputerSystem) error {
		if stateOf(s) == Off {
			return reset(s, schemas.OnResetType, schemas.ForceOnResetType)
		}

		return reset(s, schemas.PowerCycleResetType, schemas.ForceRestartResetType)
	})
}

func (r redfish) state(ctx context.Context) (state State, err error) {
	err = r.with(ctx, func(s *schemas.ComputerSystem) error {
		state = stateOf(s)
		if state == Unknown {
			return outcome(Unsupported, fmt.Sprintf("it tells the power state %q", s.PowerState))
		}

		return nil
	})

	return state, err
}

func (r redfish) pxe(ctx context.Context) error {
	return r.with(ctx, func(s *schemas.ComputerSystem) error {
		if allowed := s.Boot.AllowableBootSourceOverrideTargetValues; len(allowed) > 0 && !slices.Contains(allowed, schemas.PxeBootSource) {
			return outcome(Unsupported, "it does not list Pxe among its boot targets")
		}

		wish := &schemas.Boot{BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled, BootSourceOverrideTarget: schemas.PxeBootSource}
		if err := s.SetBoot(wish); err != nil {
			return fmt.Errorf("setting the boot override: %w", err)
		}

		return readBack(ctx, s)
	})
}

func readBack(ctx context.Context, s *schemas.ComputerSystem) error {
	var last schemas.Boot

	for i := range readBacks {
		if i > 0 {
			if err := pause(ctx, readBackPause); err != nil {
				return err
			}
		}

		now, err := schemas.GetObject[schemas.ComputerSystem](s.GetClient(), s.ODataID)
		if err != nil {
			return fmt.Errorf("reading the boot override back: %w", err)
		}

		last = now.Boot
		if last.BootSourceOverrideTarget == schemas.PxeBootSource && last.BootSourceOverrideEnabled == schemas.OnceBootSourceOverrideEnabled {
			return nil
		}
	}

	return outcome(NotKept, fmt.Sprintf("boot override reads back: target %q, enabled %q",
		last.BootSourceOverrideTarget, last.BootSourceOverrideEnabled))
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// stateOf takes a machine that is on its way for being there.
func stateOf(s *schemas.ComputerSystem) State {
	switch s.PowerState {
	case schemas.OnPowerState, schemas.PoweringOnPowerState:
		return On
	case schemas.OffPowerState, schemas.PoweringOffPowerState:
		return Off
	default:
		return Unknown
	}
}

// reset asks for the first of the kinds that the machine lists.
func reset(s *schemas.ComputerSystem, kinds ...schemas.ResetType) error {
	listed, err := s.GetSupportedResetTypes()
	if err != nil {
		listed = nil // then the first is as good as any
	}

	kind := kinds[0]

	if len(listed) > 0 {
		i := slices.IndexFunc(kinds, func(k schemas.ResetType) bool { return slices.Contains(listed, k) })
		if i < 0 {
			return outcome(Unsupported, fmt.Sprintf("it lists %v, not %s", listed, kind))
		}

		kind = kinds[i]
	}

	if _, err := s.Reset(kind); err != nil {
		return fmt.Errorf("resetting with %s: %w", kind, err)
	}

	return nil
}

// with logs in, finds the machine, calls act and logs out.
func (r redfish) with(ctx context.Context, act func(*schemas.ComputerSystem) error) error {
	place, err := r.target.endpoint()
	if err != nil {
		return err
	}

	client, err := newClient(r.target, place)
	if err != nil {
		return err
	}

	defer client.CloseIdleConnections()

	api, err := r.login(ctx, gofish.ClientConfig{
		Endpoint: place.String(), HTTPClient: client, NoModifyTransport: true, Username: r.target.User, Password: string(r.target.Password),
	})
	if err != nil {
		return ofRedfish(err)
	}

	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTime)
		defer cancel()

		api.WithContext(bye).Logout()
	}()

	system, err := r.find(api)
	if err != nil {
		return ofRedfish(err)
	}

	return ofRedfish(act(system))
}

// login opens a session, or, at a BMC that has none, signs every request.
func (redfish) login(ctx context.Context, config gofish.ClientConfig) (*gofish.APIClient, error) {
	api, err := gofish.ConnectContext(ctx, config)
	if err == nil || ofFault(err) != Unsupported {
		return api, err
	}

	config.BasicAuth = true

	return gofish.ConnectContext(ctx, config)
}

// find returns the machine. It fetches one after the other in this goroutine:
// the library would fetch them in its own, out of reach when one panics.
func (r redfish) find(api *gofish.APIClient) (*schemas.ComputerSystem, error) {
	link, err := systemsLink(api)
	if err != nil {
		return nil, err
	}

	list, err := schemas.GetCollection(api, link)
	if err != nil {
		return nil, fmt.Errorf("listing the systems: %w", err)
	}

	if len(list.ItemLinks) > maxSystems {
		return nil, outcome(Failed, fmt.Sprintf("it lists %d systems", len(list.ItemLinks)))
	}

	if r.target.System == "" && len(list.ItemLinks) != 1 {
		return nil, outcome(Failed, fmt.Sprintf("it has %d systems; name the one that is meant", len(list.ItemLinks)))
	}

	for _, uri := range list.ItemLinks {
		system, err := schemas.GetObject[schemas.ComputerSystem](api, uri)
		if err != nil {
			return nil, fmt.Errorf("reading a system: %w", err)
		}

		if r.target.System == "" || system.ID == r.target.System {
			return system, nil
		}
	}

	return nil, outcome(Failed, "it has no system of the name given")
}

func systemsLink(api *gofish.APIClient) (string, error) {
	answer, err := api.Get(schemas.DefaultServiceRoot)
	if err != nil {
		return "", fmt.Errorf("reading the service root: %w", err)
	}

	text, err := readAll(answer)
	if err != nil {
		return "", fmt.Errorf("reading the service root: %w", err)
	}

	var root struct {
		Systems struct {
			ID string `json:"@odata.id"`
		}
	}

	if err := json.Unmarshal(text, &root); err != nil {
		return "", fmt.Errorf("reading the service root: %w", err)
	}

	if root.Systems.ID == "" {
		return "", outcome(Unsupported, "it lists no systems")
	}

	return root.Systems.ID, nil
}

// ofRedfish gives an error of the library its outcome.
func ofRedfish(err error) error {
	if err == nil {
		return nil
	}

	var answer *schemas.Error
	if errors.As(err, &answer) {
		return outcome(ofFault(err), fmt.Sprintf("status %d: %s", answer.HTTPReturnedStatusCode, said(answer)))
	}

	return err
}

func ofFault(err error) Outcome {
	var answer *schemas.Error
	if !errors.As(err, &answer) {
		return classify(err)
	}

	switch {
	case answer.HTTPReturnedStatusCode == 0: // the library had nowhere to post to
		return Unsupported
	case answer.HTTPReturnedStatusCode == http.StatusBadRequest && strings.Contains(said(answer), "UnauthorizedLogin"):
		return WrongPassword // HPE iLO 4
	default:
		return ofStatus(answer.HTTPReturnedStatusCode)
	}
}

// said is the message a BMC gives, in its own words (DSP0266 §8.6).
func said(answer *schemas.Error) string {
	words := []string{answer.Code, answer.Message}
	for i := range answer.ExtendedInfos {
		words = append(words, answer.ExtendedInfos[i].MessageID, answer.ExtendedInfos[i].Message)
	}

	words = slices.DeleteFunc(words, func(w string) bool { return strings.TrimSpace(w) == "" })

	return strings.Join(words, "; ")
}
