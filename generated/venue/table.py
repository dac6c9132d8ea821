# Generated from spec/venue.yaml; do not edit.
# Change the spec and run: make generate
"""What each event does in each phase of venue."""

from __future__ import annotations

from runtime.definition import Branch, Ignore, Reject, Table

TABLE: Table = {
    "NONE": {
        "CREATE": (
            Branch(id="NONE/CREATE/1", guards=(("welcome", True), ("slow_to_show", True)), to="HIDDEN"),
            Branch(id="NONE/CREATE/2", guards=(("welcome", True), ("slow_to_show", False)), to="OPEN"),
            Branch(id="NONE/CREATE/3", guards=(("welcome", False),), to="REJECTED"),
        ),
        "CANCEL": (Branch(id="NONE/CANCEL/1"),),
        "LOOK_UP": (Branch(id="NONE/LOOK_UP/1"),),
        # as the event's own `otherwise` says
        "FILLED_IN_PART": Ignore("There is nothing to fill."),
        "FILLED_WHOLLY": Ignore("There is nothing to fill."),
        "DROPPED": Ignore("There is nothing to cancel."),
        "SHOWN": Reject("Only a timer can raise this."),
        "EXCHANGE_FAILED": Ignore("The order survives it."),
    },
    "HIDDEN": {
        "SHOWN": (Branch(id="HIDDEN/SHOWN/1", to="OPEN"),),
        "CREATE": (Branch(id="HIDDEN/CREATE/1"),),
        "CANCEL": (Branch(id="HIDDEN/CANCEL/1"),),
        "LOOK_UP": (Branch(id="HIDDEN/LOOK_UP/1"),),
        "FILLED_IN_PART": (
            Branch(id="HIDDEN/FILLED_IN_PART/1", guards=(("unfilled", True),), do=("fill_in_part",)),
            Branch(id="HIDDEN/FILLED_IN_PART/2", ignored="One part stands for all."),
        ),
        "FILLED_WHOLLY": (Branch(id="HIDDEN/FILLED_WHOLLY/1", to="HIDDEN_FILLED", do=("fill_wholly",)),),
        # as the event's own `otherwise` says
        "DROPPED": Ignore("There is nothing to cancel."),
        "EXCHANGE_FAILED": Ignore("The order survives it."),
    },
    "HIDDEN_FILLED": {
        "SHOWN": (Branch(id="HIDDEN_FILLED/SHOWN/1", to="FILLED"),),
        "CREATE": (Branch(id="HIDDEN_FILLED/CREATE/1", to="TWICE"),),
        "CANCEL": (Branch(id="HIDDEN_FILLED/CANCEL/1"),),
        "LOOK_UP": (Branch(id="HIDDEN_FILLED/LOOK_UP/1"),),
        # as the event's own `otherwise` says
        "FILLED_IN_PART": Ignore("There is nothing to fill."),
        "FILLED_WHOLLY": Ignore("There is nothing to fill."),
        "DROPPED": Ignore("There is nothing to cancel."),
        "EXCHANGE_FAILED": Ignore("The order survives it."),
    },
    "OPEN": {
        "CREATE": (Branch(id="OPEN/CREATE/1"),),
        "CANCEL": (Branch(id="OPEN/CANCEL/1", to="CANCELED"),),
        "LOOK_UP": (Branch(id="OPEN/LOOK_UP/1"),),
        "FILLED_IN_PART": (
            Branch(id="OPEN/FILLED_IN_PART/1", guards=(("unfilled", True),), do=("fill_in_part",)),
            Branch(id="OPEN/FILLED_IN_PART/2", ignored="One part stands for all."),
        ),
        "FILLED_WHOLLY": (Branch(id="OPEN/FILLED_WHOLLY/1", to="FILLED", do=("fill_wholly",)),),
        "DROPPED": (Branch(id="OPEN/DROPPED/1", to="CANCELED"),),
        "EXCHANGE_FAILED": (Branch(id="OPEN/EXCHANGE_FAILED/1", to="CANCELED"),),
        # as the event's own `otherwise` says
        "SHOWN": Reject("Only a timer can raise this."),
    },
    "FILLED": {
        "CREATE": (Branch(id="FILLED/CREATE/1", to="TWICE"),),
        "CANCEL": (Branch(id="FILLED/CANCEL/1"),),
        "LOOK_UP": (Branch(id="FILLED/LOOK_UP/1"),),
        # as the event's own `otherwise` says
        "FILLED_IN_PART": Ignore("There is nothing to fill."),
        "FILLED_WHOLLY": Ignore("There is nothing to fill."),
        "DROPPED": Ignore("There is nothing to cancel."),
        "SHOWN": Reject("Only a timer can raise this."),
        "EXCHANGE_FAILED": Ignore("The order survives it."),
    },
    "CANCELED": {
        "CREATE": (Branch(id="CANCELED/CREATE/1", to="TWICE"),),
        "CANCEL": (Branch(id="CANCELED/CANCEL/1"),),
        "LOOK_UP": (Branch(id="CANCELED/LOOK_UP/1"),),
        # as the event's own `otherwise` says
        "FILLED_IN_PART": Ignore("There is nothing to fill."),
        "FILLED_WHOLLY": Ignore("There is nothing to fill."),
        "DROPPED": Ignore("There is nothing to cancel."),
        "SHOWN": Reject("Only a timer can raise this."),
        "EXCHANGE_FAILED": Ignore("The order survives it."),
    },
    "REJECTED": {
        "CREATE": (Branch(id="REJECTED/CREATE/1"),),
        "CANCEL": (Branch(id="REJECTED/CANCEL/1"),),
        "LOOK_UP": (Branch(id="REJECTED/LOOK_UP/1"),),
        # as the event's own `otherwise` says
        "FILLED_IN_PART": Ignore("There is nothing to fill."),
        "FILLED_WHOLLY": Ignore("There is nothing to fill."),
        "DROPPED": Ignore("There is nothing to cancel."),
        "SHOWN": Reject("Only a timer can raise this."),
        "EXCHANGE_FAILED": Ignore("The order survives it."),
    },
    "TWICE": {
        "CREATE": (Branch(id="TWICE/CREATE/1"),),
        "CANCEL": (Branch(id="TWICE/CANCEL/1"),),
        "LOOK_UP": (Branch(id="TWICE/LOOK_UP/1"),),
        # as the event's own `otherwise` says
        "FILLED_IN_PART": Ignore("There is nothing to fill."),
        "FILLED_WHOLLY": Ignore("There is nothing to fill."),
        "DROPPED": Ignore("There is nothing to cancel."),
        "SHOWN": Reject("Only a timer can raise this."),
        "EXCHANGE_FAILED": Ignore("The order survives it."),
    },
}
