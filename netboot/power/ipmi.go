package power

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"
)

const ipmiPort = 623

// A datagram is sent this often, so long apart, before the BMC counts as silent.
const (
	ipmiPatience = time.Second
	ipmiRetries  = 3
	ipmiGoodbye  = time.Second
)

// ipmi is a BMC that speaks RMCP+ (IPMI 2.0 §13).
type ipmi struct{ target *Target }

func (i ipmi) on(ctx context.Context) error {
	return i.session(ctx, func(c *client.Client) error {
		return control(ctx, c, chassis.ChassisControlPowerUp)
	})
}

func (i ipmi) off(ctx context.Context) error {
	return i.session(ctx, func(c *client.Client) error {
		return control(ctx, c, chassis.ChassisControlPowerDown)
	})
}

// cycle resets a machine that is on. A power cycle is refused by many BMCs when
// the machine is off (§28.3: "may return D5h"), so then it is switched on.
func (i ipmi) cycle(ctx context.Context) error {
	return i.session(ctx, func(c *client.Client) error {
		state, err := chassisState(ctx, c)
		if err != nil {
			return err
		}

		if state == Off {
			return control(ctx, c, chassis.ChassisControlPowerUp)
		}

		return control(ctx, c, chassis.ChassisControlPowerCycle)
	})
}

func (i ipmi) state(ctx context.Context) (state State, err error) {
	err = i.session(ctx, func(c *client.Client) (err error) {
		state, err = chassisState(ctx, c)

		return err
	})

	return state, err
}

// pxe sets the boot flags and reads them back. BMCs forget them after 60 s
// unless told not to (§28.13, parameter 3), which a slow POST outlasts; those
// that do not know the parameter are asked for the rest all the same.
func (i ipmi) pxe(ctx context.Context) error {
	return i.session(ctx, func(c *client.Client) error {
		keep := &types.BootOptionParam_BMCBootFlagValidBitClear{
			DontClearOnResetPEFOrPowerCyclePEF: true, DontClearOnCommandReceivedTimeout: true, DontClearOnWatchdogTimeout: true,
			DontClearOnResetPushButtonOrSoftReset: true, DontClearOnPowerUpPushButtonOrWakeEvent: true,
		}
		if err := c.SetSystemBootOptionsParamFor(ctx, keep); err != nil && ofIPMI(err) != Unsupported {
			return fmt.Errorf("keeping the boot flags: %w", err)
		}

		return setFlags(ctx, c)
	})
}

// setFlags keeps the firmware's boot type (legacy or EFI) as the BMC tells it:
// some boards ignore flags with another one.
func setFlags(ctx context.Context, c *client.Client) error {
	var before, after types.BootOptionParam_BootFlags

	if err := c.GetSystemBootOptionsParamFor(ctx, &before); err != nil && ofIPMI(err) != Unsupported {
		return fmt.Errorf("reading the boot flags: %w", err)
	}

	if err := c.SetBootDevice(ctx, types.BootDeviceSelectorForcePXE, before.BIOSBootType, false); err != nil {
		return fmt.Errorf("setting the boot flags: %w", err)
	}

	if err := c.GetSystemBootOptionsParamFor(ctx, &after); err != nil {
		return fmt.Errorf("reading the boot flags back: %w", err)
	}

	if !after.BootFlagsValid || after.Persist || after.BootDeviceSelector != types.BootDeviceSelectorForcePXE {
		return outcome(NotKept, fmt.Sprintf("boot flags read back: valid %v, persistent %v, device %s",
			after.BootFlagsValid, after.Persist, after.BootDeviceSelector))
	}

	return nil
}

func control(ctx context.Context, c *client.Client, what chassis.ChassisControl) error {
	if _, err := c.ChassisControl(ctx, what); err != nil {
		return fmt.Errorf("controlling the chassis: %w", err)
	}

	return nil
}

func chassisState(ctx context.Context, c *client.Client) (State, error) {
	status, err := c.GetChassisStatus(ctx)
	if err != nil {
		return Unknown, fmt.Errorf("reading the chassis status: %w", err)
	}

	if status.PowerIsOn {
		return On, nil
	}

	return Off, nil
}

// session opens one, calls act and closes it, whatever comes. The role asked for
// is administrator, which most BMCs' users have, and operator, which is enough,
// where that is refused.
func (i ipmi) session(ctx context.Context, act func(*client.Client) error) error {
	err := i.as(ctx, types.PrivilegeLevelAdministrator, act)
	if ofIPMI(err) == Denied {
		err = i.as(ctx, types.PrivilegeLevelOperator, act)
	}

	if err == nil {
		return nil
	}

	var refused *Fault
	if errors.As(err, &refused) {
		return refused
	}

	switch o := ofIPMI(err); o {
	case WrongPassword, Timeout, Unreachable:
		return outcome(o, "") // the library's text adds only its own names
	default:
		return outcome(o, err.Error())
	}
}

func (i ipmi) as(ctx context.Context, role types.PrivilegeLevel, act func(*client.Client) error) error {
	host, port, err := i.target.hostPort(ipmiPort)
	if err != nil {
		return err
	}

	c, err := client.NewClient(host, port, i.target.User, string(i.target.Password))
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}

	socket := &socket{ctx: ctx, addr: net.JoinHostPort(host, strconv.Itoa(port)), sound: soundness(ctx, c)}
	defer socket.close()

	c = c.WithTimeout(ipmiPatience).WithRetry(ipmiRetries).WithMaxPrivilegeLevel(role).WithUDPProxy(socket)

	err = c.Connect(ctx)
	if err == nil || strings.Contains(err.Error(), "SetSessionPrivilegeLevel") { // then there is a session
		defer hangUp(ctx, c)
	}

	if err == nil {
		err = act(c)
	}

	return socket.because(err)
}

// hangUp ends a session: a BMC has room for four or so, and drops one that is
// not ended only after a minute.
func hangUp(ctx context.Context, c *client.Client) {
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), ipmiGoodbye)
	defer cancel()

	_ = c.Close(bye)
}

// ofIPMI is the outcome that an error of the library stands for. Connect joins
// the errors of its cipher suites into text, so they are looked for in the text.
func ofIPMI(err error) Outcome {
	if err == nil {
		return OK
	}

	text := err.Error()
	says := func(code types.RmcpStatusCode) bool {
		return strings.Contains(text, types.NewRmcpStatusError(code).Error())
	}

	switch {
	case strings.Contains(text, client.ErrRAKPAuthentication.Error()), says(types.RmcpStatusCodeUnauthorizedName),
		says(types.RmcpStatusCodeInvalidIntegrityCheckValue), says(types.RmcpStatusCodeInvalidNameLength):
		return WrongPassword
	case says(types.RmcpStatusCodeUnauthorizedRoleOfPriLevel), says(types.RmcpStatusCodeInvalidRole):
		return Denied
	case says(types.RmcpStatusCodeNoCipherSuiteMatch):
		return Unsupported
	}

	var code *types.ResponseError
	if errors.As(err, &code) {
		return ofCode(code.CompletionCode())
	}

	if o := classify(err); o != Failed {
		return o
	}

	// The library has its own, unexported error for silence.
	if strings.Contains(text, "before UDP read deadline") || strings.Contains(text, "no datagram matched") || strings.Contains(text, "timed out") {
		return Timeout
	}

	return Failed
}

// Completion codes (IPMI 2.0 §5.2); 80h is "parameter not supported" for the
// boot options (§28.12), and 81h and 82h "cannot set this privilege level"
// (§22.18).
const (
	codeParameterUnsupported = 0x80
	codeLevelUnavailable     = 0x81
	codeLevelTooHigh         = 0x82
	codeInvalidCommand       = 0xc1
	codeInvalidForLUN        = 0xc2
	codeNotPresent           = 0xcb
	codeIllegalCommand       = 0xcd
	codeInsufficient         = 0xd4
)

func ofCode(code types.CompletionCode) Outcome {
	switch code {
	case codeParameterUnsupported, codeInvalidCommand, codeInvalidForLUN, codeIllegalCommand, codeNotPresent:
		return Unsupported
	case codeInsufficient, codeLevelUnavailable, codeLevelTooHigh:
		return Denied
	default:
		return Failed
	}
}
