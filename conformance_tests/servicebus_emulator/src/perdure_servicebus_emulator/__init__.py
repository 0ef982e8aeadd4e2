"""A small Azure Service Bus emulator: AMQP 1.0 as the Azure SDK speaks it."""
