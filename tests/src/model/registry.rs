//! Markets and their controls, parties and meters.

use types::{
    Event, MarketControls, MarketDefinition, MeterRegistration, Party, PartyRegistration,
    RejectReason, Role,
};

use super::{Market, Model, Outcome, refuse_if};

impl Model {
    pub(super) fn define_market(
        &mut self,
        new: &MarketDefinition,
        events: &mut Vec<Event>,
    ) -> Outcome {
        refuse_if(new.check().is_err(), RejectReason::InvalidMarket)?;
        if let Some(known) = self.markets.get(&new.market) {
            refuse_if(known.definition != *new, RejectReason::AlreadyRegistered)?;
        } else {
            let full = self.markets.len() == usize::from(self.limits.markets_max);
            refuse_if(full, RejectReason::RegistryFull)?;
            let controls = MarketControls::standard(new.market);
            let market = Market { definition: *new, controls, last_auction_price: None };
            self.markets.insert(new.market, market);
        }
        events.push(Event::MarketDefined(*new));
        Ok(())
    }

    pub(super) fn set_controls(
        &mut self,
        new: &MarketControls,
        events: &mut Vec<Event>,
    ) -> Outcome {
        let market = self.markets.get_mut(&new.market).ok_or(RejectReason::UnknownMarket)?;
        refuse_if(!new.is_sound(), RejectReason::InvalidMarket)?;
        market.controls = *new;
        events.push(Event::ControlsSet(*new));
        Ok(())
    }

    pub(super) fn register_party(
        &mut self,
        new: &PartyRegistration,
        events: &mut Vec<Event>,
    ) -> Outcome {
        if let Some(known) = self.parties.get(&new.party) {
            refuse_if(known != new, RejectReason::AlreadyRegistered)?;
        } else {
            let full = self.parties.len() == usize::from(self.limits.parties_max);
            refuse_if(full, RejectReason::RegistryFull)?;
            self.parties.insert(new.party, *new);
        }
        events.push(Event::PartyRegistered(*new));
        Ok(())
    }

    pub(super) fn register_meter(
        &mut self,
        new: &MeterRegistration,
        events: &mut Vec<Event>,
    ) -> Outcome {
        if let Some(known) = self.find_meter(new.meter) {
            refuse_if(known != *new, RejectReason::AlreadyRegistered)?;
        } else {
            let count = u32::try_from(self.meters.len()).expect("few meters");
            refuse_if(new.meter.get() != count + 1, RejectReason::MeterNotNext)?;
            refuse_if(count == self.limits.meters_max, RejectReason::RegistryFull)?;
            for (role, number) in [
                (Role::Platform, new.platform.get()),
                (Role::Retailer, new.retailer.get()),
                (Role::Utility, new.utility.get()),
            ] {
                let known = self.parties.contains_key(&Party { role, number });
                refuse_if(!known, RejectReason::UnknownParty)?;
            }
            let beyond = new.owner.get() > self.limits.meters_max;
            refuse_if(beyond, RejectReason::OwnerOutOfRange)?;
            self.meters.push(*new);
        }
        events.push(Event::MeterRegistered(*new));
        Ok(())
    }
}
