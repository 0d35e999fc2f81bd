package spec

import (
	"vetting/core"
	"vetting/core/problem"
)

func (r *Result) system(want *Spec, got *core.Inventory) {
	s, b, c := got.System, got.Board, got.Chassis
	code, hard := problem.SpecSystem, core.Critical

	r.check("system", core.Part{Kind: "system", Model: s.Product, Serial: s.Serial},
		text("manufacturer", code, want.System.Manufacturer, s.Manufacturer, hard),
		text("product", code, want.System.Product, s.Product, hard),
		text("serial", code, want.System.Serial, s.Serial, hard),
		text("uuid", code, want.System.UUID, s.UUID, hard),
		text("sku", code, want.System.SKU, s.SKU, core.Warning),
	)
	r.check("board", core.Part{Kind: "board", Model: b.Product, Serial: b.Serial},
		text("manufacturer", code, want.Board.Manufacturer, b.Manufacturer, hard),
		text("product", code, want.Board.Product, b.Product, hard),
		text("serial", code, want.Board.Serial, b.Serial, hard),
	)
	r.check("chassis", core.Part{Kind: "chassis", Model: c.Type, Serial: c.Serial},
		text("manufacturer", code, want.Chassis.Manufacturer, c.Manufacturer, core.Warning),
		text("product", code, want.Chassis.Product, c.Type, core.Warning),
		text("serial", code, want.Chassis.Serial, c.Serial, core.Warning),
	)
	r.check("bios", core.Part{Kind: "board", Model: b.Product, Serial: b.Serial},
		text("vendor", problem.SpecFirmware, want.BIOS.Vendor, got.BIOS.Vendor, core.Warning),
		text("version", problem.SpecFirmware, want.BIOS.Version, got.BIOS.Version, core.Warning),
		text("mode", problem.SpecBootMode, want.BIOS.Mode, got.BIOS.Mode, core.Warning),
		flag("secure_boot", problem.SpecBootMode, want.BIOS.SecureBoot, got.BIOS.SecureBoot, core.Warning),
	)
}
