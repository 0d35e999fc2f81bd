package power_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"
	"github.com/bougou/go-ipmi/pkg/types"

	"vetting/netboot/power"
)

// chassis is a machine behind a BMC.
type chassis struct {
	hal.ChassisHAL

	mu       sync.Mutex
	powered  bool
	cycles   int
	flags    types.BootOptionParam_BootFlags
	forgets  bool // the flags it is given
	hasFlags bool
	change   func(on bool)
	seconds  uint8         // of the light
	console  *mock.Console // its serial port; nil: it has none
}

// Identify switches the light.
func (c *chassis) Identify(_ context.Context, seconds uint8) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.seconds = seconds

	return nil
}

func (c *chassis) light() uint8 {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.seconds
}

func (c *chassis) PowerState(context.Context) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.powered, nil
}

func (c *chassis) SetPower(_ context.Context, on bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.powered = on
	if c.change != nil {
		c.change(on)
	}

	return nil
}

func (c *chassis) PowerCycle(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.cycles++
	if c.change != nil {
		c.change(false)
		c.change(true)
	}

	return nil
}

func (c *chassis) SetBootFlags(_ context.Context, flags *types.BootOptionParam_BootFlags) error {
	c.mu.Lock()
	defer c.mu.Unlock()

	if !c.hasFlags {
		return hal.ErrNotSupported
	}

	if !c.forgets {
		c.flags = *flags
	}

	return nil
}

func (c *chassis) GetBootFlags(context.Context) (*types.BootOptionParam_BootFlags, error) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if !c.hasFlags {
		return nil, hal.ErrNotSupported
	}

	flags := c.flags

	return &flags, nil
}

// seen returns the flags and how often the machine was cycled.
func (c *chassis) seen() (types.BootOptionParam_BootFlags, int) {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.flags, c.cycles
}

type machine struct {
	*mock.HAL

	chassis *chassis
}

func (m machine) Chassis() hal.ChassisHAL { return m.chassis }

// startBMC serves RMCP+ on loopback for c, to a user with a role, and returns
// its address.
func startBMC(t *testing.T, c *chassis, role bmc.PrivilegeLevel, more ...server.ServerOption) string {
	t.Helper()

	c.ChassisHAL = mock.New().Chassis()
	parts := mock.New()

	if c.console != nil {
		parts.SetConsole(c.console)
	}

	b := bmc.New(bmc.DeviceInfo{IPMIVersion: 0x20}, [16]byte{1}, machine{HAL: parts, chassis: c}, bmc.WithClock(clock.Real))

	account, err := b.Users.Add(2, user)
	if err != nil {
		t.Fatal(err)
	}

	account.SetPassword([]byte(password))
	account.Enabled = true
	account.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: role, Enabled: true}

	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}

	serve := server.NewServer(b, udp.Wrap(conn, udp.WithReadTimeout(time.Second)), more...)
	ended := make(chan struct{})

	go func() {
		defer close(ended)

		_ = serve.Serve(context.WithoutCancel(t.Context()))
	}()

	t.Cleanup(func() {
		_ = serve.Close()
		<-ended
	})

	return conn.LocalAddr().String()
}

func ipmiTo(t *testing.T, address string, limit time.Duration) power.Way {
	t.Helper()

	return wayTo(t, power.Target{Method: power.IPMI, Address: address, User: user, Password: password}, limit)
}

func TestAMachineIsSwitchedByIPMI(t *testing.T) {
	t.Parallel()

	c := &chassis{hasFlags: true}
	way := ipmiTo(t, startBMC(t, c, bmc.PrivilegeLevelAdministrator), long)

	mustState(t, way, power.Off)
	mustBe(t, way.Cycle(t.Context()), power.OK) // a machine that is off is switched on
	mustState(t, way, power.On)
	mustBe(t, way.Cycle(t.Context()), power.OK)

	if _, cycles := c.seen(); cycles != 1 {
		t.Errorf("cycled %d times", cycles)
	}

	mustBe(t, way.Off(t.Context()), power.OK)
	mustState(t, way, power.Off)
	mustBe(t, way.On(t.Context()), power.OK)
	mustState(t, way, power.On)

	mustBe(t, way.OneTimePXE(t.Context()), power.OK)

	if flags, _ := c.seen(); !flags.BootFlagsValid || flags.Persist || flags.BootDeviceSelector != types.BootDeviceSelectorForcePXE {
		t.Errorf("flags %+v", flags)
	}
}

func TestTheFirmwaresKindOfBootIsKept(t *testing.T) {
	t.Parallel()

	c := &chassis{hasFlags: true, flags: types.BootOptionParam_BootFlags{BIOSBootType: types.BIOSBootTypeEFI}}
	mustBe(t, ipmiTo(t, startBMC(t, c, bmc.PrivilegeLevelAdministrator), long).OneTimePXE(t.Context()), power.OK)

	if flags, _ := c.seen(); flags.BIOSBootType != types.BIOSBootTypeEFI {
		t.Error("the next start was set to legacy")
	}
}

func TestAnOperatorIsEnough(t *testing.T) {
	t.Parallel()

	way := ipmiTo(t, startBMC(t, &chassis{}, bmc.PrivilegeLevelOperator), long)

	// More often than the BMC has sessions: each must have been ended.
	for range bmc.MaxSessions + 2 {
		mustBe(t, way.On(t.Context()), power.OK)
	}
}

func TestAnOrdinaryUserIsNot(t *testing.T) {
	t.Parallel()

	mustBe(t, ipmiTo(t, startBMC(t, &chassis{}, bmc.PrivilegeLevelUser), long).On(t.Context()), power.Denied)
}

func TestFaultsOfIPMIAreToldApart(t *testing.T) {
	t.Parallel()

	address := startBMC(t, &chassis{hasFlags: true, forgets: true}, bmc.PrivilegeLevelAdministrator)

	silent, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // a test's own socket
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()

	gone, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // likewise
	if err != nil {
		t.Fatal(err)
	}

	closed := gone.LocalAddr().String()
	_ = gone.Close()

	for name, c := range map[string]struct {
		target power.Target
		limit  time.Duration
		want   power.Outcome
	}{
		"a wrong password": {power.Target{Address: address, User: user, Password: "wrong"}, long, power.WrongPassword},
		"an unknown user":  {power.Target{Address: address, User: "nobody", Password: password}, long, power.WrongPassword},
		"nobody listens":   {power.Target{Address: closed, User: user, Password: password}, long, power.Unreachable},
		"nobody answers":   {power.Target{Address: silent.LocalAddr().String(), User: user, Password: password}, soon, power.Timeout},
	} {
		c.target.Method = power.IPMI
		_, err := wayTo(t, c.target, c.limit).State(t.Context())

		t.Log(name, err)
		mustBe(t, err, c.want)
	}

	mustBe(t, ipmiTo(t, address, long).OneTimePXE(t.Context()), power.NotKept)
	mustBe(t, ipmiTo(t, startBMC(t, &chassis{}, bmc.PrivilegeLevelAdministrator), long).OneTimePXE(t.Context()), power.Unsupported)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mustBe(t, ipmiTo(t, address, long).On(ctx), power.Stopped)
}

// relay stands between a BMC and the appliance and sends what spoil makes of
// the BMC's answers.
func relay(tb testing.TB, bmcAddr string, spoil func([]byte) [][]byte) string {
	tb.Helper()

	front, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // a test's own socket
	if err != nil {
		tb.Fatal(err)
	}

	back, err := net.Dial("udp", bmcAddr) //nolint:noctx // likewise
	if err != nil {
		tb.Fatal(err)
	}

	var (
		mu   sync.Mutex
		peer net.Addr
	)

	tb.Cleanup(func() {
		_ = front.Close()
		_ = back.Close()
	})

	go func() {
		buf := make([]byte, 4096)

		for {
			n, from, err := front.ReadFrom(buf)
			if err != nil {
				return
			}

			mu.Lock()
			peer = from
			mu.Unlock()

			_, _ = back.Write(buf[:n])
		}
	}()

	go func() {
		buf := make([]byte, 4096)

		for {
			n, err := back.Read(buf)
			if err != nil {
				return
			}

			mu.Lock()
			to := peer
			mu.Unlock()

			for _, out := range spoil(buf[:n]) {
				_, _ = front.WriteTo(out, to)
			}
		}
	}()

	return front.LocalAddr().String()
}

// go-ipmi v0.9.1 decodes datagrams in its own goroutine, where each of these
// made it panic: anybody who reaches our port could have ended the appliance.
func TestDatagramsThatBreakTheLibraryAreDropped(t *testing.T) {
	t.Parallel()

	address := startBMC(t, &chassis{powered: true}, bmc.PrivilegeLevelAdministrator)

	poison := [][]byte{
		// RMCP, RMCP+, encrypted IPMI payload of 0, 3 and 16 bytes.
		{6, 0, 0xff, 7, 6, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		{6, 0, 0xff, 7, 6, 0xc0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 1, 2, 3},
		append([]byte{6, 0, 0xff, 7, 6, 0xc0, 1, 0, 0, 0, 1, 0, 0, 0, 16, 0}, make([]byte, 16)...),
		append([]byte{6, 0, 0xff, 7, 6, 0xc0, 1, 0, 0, 0, 1, 0, 0, 0, 32, 0}, make([]byte, 32)...),
		{},
		{6},
		{6, 0, 0xff, 7},
		{6, 0, 0xff, 6, 0},
	}

	var seen atomic.Int32

	way := ipmiTo(t, relay(t, address, func(answer []byte) [][]byte {
		seen.Add(1)
		if answer[4] == 6 && answer[5]&0x3f >= 0x10 {
			return [][]byte{append([]byte(nil), answer...)} // the library takes the first datagram of a handshake as the answer
		}

		return append(append([][]byte{}, poison...), append([]byte(nil), answer...))
	}), long)

	mustState(t, way, power.On)

	if n := seen.Load(); n < 5 {
		t.Errorf("only %d answers came by", n)
	}
}

func FuzzAnyAnswerOfABMC(f *testing.F) {
	f.Add(uint8(0), []byte{6, 0, 0xff, 7, 6, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint8(2), []byte{6, 0, 0xff, 7, 6, 0x11, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 1, 2, 3, 4})
	f.Add(uint8(3), []byte{6, 0, 0xff, 7, 6, 0x13})
	f.Add(uint8(5), []byte{6, 0, 0xff, 7, 6, 0xc0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 1, 2, 3})
	f.Fuzz(func(t *testing.T, at uint8, datagram []byte) {
		address := startBMC(t, &chassis{}, bmc.PrivilegeLevelAdministrator)
		n := uint8(0)
		way := ipmiTo(t, relay(t, address, func(answer []byte) [][]byte {
			if n++; n == at%8+1 {
				return [][]byte{datagram}
			}

			return [][]byte{append([]byte(nil), answer...)}
		}), soon)

		_, err := way.State(t.Context()) // any answer will do; the process must live
		if err != nil {
			mustBe(t, err, power.OutcomeOf(err))
		}
	})
}

// Boot orders are changed by installers and ignored by boards; one boot is asked of the
// BMC (netboot/quirk Q32), before the machine is switched, with the kind of boot kept (Q34).
func TestQuirkQ32OneBootFromTheNetworkIsAskedOfTheBMC(t *testing.T) {
	t.Parallel()

	c := &chassis{hasFlags: true}
	mustBe(t, ipmiTo(t, startBMC(t, c, bmc.PrivilegeLevelAdministrator), long).OneTimePXE(t.Context()), power.OK)

	if flags, _ := c.seen(); flags.Persist || !flags.BootFlagsValid || flags.BootDeviceSelector != types.BootDeviceSelectorForcePXE {
		t.Errorf("flags %+v", flags)
	}
}

func TestQuirkQ34TheKindOfBootIsKeptAndNotOnlyOfOneKind(t *testing.T) {
	t.Parallel()

	for _, kind := range []types.BIOSBootType{types.BIOSBootTypeEFI, types.BIOSBootTypeLegacy} {
		c := &chassis{hasFlags: true, flags: types.BootOptionParam_BootFlags{BIOSBootType: kind}}
		mustBe(t, ipmiTo(t, startBMC(t, c, bmc.PrivilegeLevelAdministrator), long).OneTimePXE(t.Context()), power.OK)

		if flags, _ := c.seen(); flags.BIOSBootType != kind {
			t.Errorf("%v became %v", kind, flags.BIOSBootType)
		}
	}
}
