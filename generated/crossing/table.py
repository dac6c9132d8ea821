# Generated from spec/crossing.yaml; do not edit.
# Change the spec and run: make generate
"""What each event does in each phase of crossing."""

from __future__ import annotations

from runtime.definition import Branch, Defer, Ignore, Reject, Table

TABLE: Table = {
    "CARS_GREEN": {
        "BUTTON_PRESSED": (Branch(id="CARS_GREEN/BUTTON_PRESSED/1", do=("count_request",)),),
        "GREEN_SERVED": (
            Branch(id="CARS_GREEN/GREEN_SERVED/1", guards=(("walk_requested", True),), to="CARS_AMBER"),
            Branch(id="CARS_GREEN/GREEN_SERVED/2", to="CARS_WAIT"),
        ),
        # shared by the group running
        "MAINTENANCE_ON": (Branch(id="CARS_GREEN/MAINTENANCE_ON/1", to="FLASHING"),),
        "LAMP_FAILED": (Branch(id="CARS_GREEN/LAMP_FAILED/1", to="FLASHING", do=("note_fault",)),),
        # as the event's own `otherwise` says
        "AMBER_OVER": Reject("Only a timer can raise this."),
        "WALK_OVER": Reject("Only a timer can raise this."),
        "CLEARED": Reject("Only a timer can raise this."),
        "LAMPS_SET": Ignore("Nothing waits for the lamps."),
        "MAINTENANCE_OFF": Ignore("The lights run already."),
    },
    "CARS_WAIT": {
        "BUTTON_PRESSED": (Branch(id="CARS_WAIT/BUTTON_PRESSED/1", to="CARS_AMBER", do=("count_request",)),),
        # shared by the group running
        "MAINTENANCE_ON": (Branch(id="CARS_WAIT/MAINTENANCE_ON/1", to="FLASHING"),),
        "LAMP_FAILED": (Branch(id="CARS_WAIT/LAMP_FAILED/1", to="FLASHING", do=("note_fault",)),),
        # as the event's own `otherwise` says
        "GREEN_SERVED": Reject("Only a timer can raise this."),
        "AMBER_OVER": Reject("Only a timer can raise this."),
        "WALK_OVER": Reject("Only a timer can raise this."),
        "CLEARED": Reject("Only a timer can raise this."),
        "LAMPS_SET": Ignore("Nothing waits for the lamps."),
        "MAINTENANCE_OFF": Ignore("The lights run already."),
    },
    "CARS_AMBER": {
        "AMBER_OVER": (Branch(id="CARS_AMBER/AMBER_OVER/1", to="WALK"),),
        # shared by the group running
        "MAINTENANCE_ON": (Branch(id="CARS_AMBER/MAINTENANCE_ON/1", to="FLASHING"),),
        "LAMP_FAILED": (Branch(id="CARS_AMBER/LAMP_FAILED/1", to="FLASHING", do=("note_fault",)),),
        # as the event's own `otherwise` says
        "BUTTON_PRESSED": Ignore("The lights ask for a walk or give one."),
        "GREEN_SERVED": Reject("Only a timer can raise this."),
        "WALK_OVER": Reject("Only a timer can raise this."),
        "CLEARED": Reject("Only a timer can raise this."),
        "LAMPS_SET": Ignore("Nothing waits for the lamps."),
        "MAINTENANCE_OFF": Ignore("The lights run already."),
    },
    "WALK": {
        "WALK_OVER": (Branch(id="WALK/WALK_OVER/1", to="CLEARING"),),
        "BUTTON_PRESSED": Defer(),
        # shared by the group running
        "MAINTENANCE_ON": (Branch(id="WALK/MAINTENANCE_ON/1", to="FLASHING"),),
        "LAMP_FAILED": (Branch(id="WALK/LAMP_FAILED/1", to="FLASHING", do=("note_fault",)),),
        # as the event's own `otherwise` says
        "GREEN_SERVED": Reject("Only a timer can raise this."),
        "AMBER_OVER": Reject("Only a timer can raise this."),
        "CLEARED": Reject("Only a timer can raise this."),
        "LAMPS_SET": Ignore("Nothing waits for the lamps."),
        "MAINTENANCE_OFF": Ignore("The lights run already."),
    },
    "CLEARING": {
        "CLEARED": (Branch(id="CLEARING/CLEARED/1", to="CARS_GREEN"),),
        "BUTTON_PRESSED": Defer(),
        # shared by the group running
        "MAINTENANCE_ON": (Branch(id="CLEARING/MAINTENANCE_ON/1", to="FLASHING"),),
        "LAMP_FAILED": (Branch(id="CLEARING/LAMP_FAILED/1", to="FLASHING", do=("note_fault",)),),
        # as the event's own `otherwise` says
        "GREEN_SERVED": Reject("Only a timer can raise this."),
        "AMBER_OVER": Reject("Only a timer can raise this."),
        "WALK_OVER": Reject("Only a timer can raise this."),
        "LAMPS_SET": Ignore("Nothing waits for the lamps."),
        "MAINTENANCE_OFF": Ignore("The lights run already."),
    },
    "FLASHING": {
        "MAINTENANCE_OFF": (Branch(id="FLASHING/MAINTENANCE_OFF/1", history="running"),),
        "LAMP_FAILED": (Branch(id="FLASHING/LAMP_FAILED/1", do=("note_fault",)),),
        # as the event's own `otherwise` says
        "BUTTON_PRESSED": Ignore("The lights ask for a walk or give one."),
        "GREEN_SERVED": Reject("Only a timer can raise this."),
        "AMBER_OVER": Reject("Only a timer can raise this."),
        "WALK_OVER": Reject("Only a timer can raise this."),
        "CLEARED": Reject("Only a timer can raise this."),
        "LAMPS_SET": Ignore("Nothing waits for the lamps."),
        "MAINTENANCE_ON": Ignore("The lights flash already."),
    },
}
