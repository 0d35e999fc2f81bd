package agent

// WireInventory is what the agent sends of an inventory.
var WireInventory = inventory

// WireMeter is what the agent sends of how far a part is.
var WireMeter = meter
